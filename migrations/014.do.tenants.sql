-- An order id is unique within its tenant. The column order_id comes first, because processes of the previous release
-- search by it alone.
ALTER TABLE orders
  DROP KEY orders_order_id,
  ADD UNIQUE KEY orders_order_id (order_id, tenant);

ALTER TABLE outbox
  ADD COLUMN tenant VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'default';

ALTER TABLE spill_attempts
  ADD COLUMN tenant VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'default',
  DROP PRIMARY KEY,
  ADD PRIMARY KEY (order_id, tenant);
