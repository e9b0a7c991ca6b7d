-- No query ever used it, and every order paid for it.
ALTER TABLE orders DROP INDEX orders_created_at;
