-- Totals over `orders`, changed in the transaction that changes the rows. They are spread over slots, one of which a
-- transaction picks, so that writers do not queue for one row; a read sums the slots up.
CREATE TABLE IF NOT EXISTS order_totals (
  slot       SMALLINT NOT NULL PRIMARY KEY,
  processing BIGINT NOT NULL DEFAULT 0,
  completed  BIGINT NOT NULL DEFAULT 0,
  failed     BIGINT NOT NULL DEFAULT 0,
  revenue    DECIMAL(30, 4) NOT NULL DEFAULT 0
) ENGINE = InnoDB;

INSERT INTO order_totals (slot) VALUES
  (0), (1), (2), (3), (4), (5), (6), (7), (8), (9), (10), (11), (12), (13), (14), (15),
  (16), (17), (18), (19), (20), (21), (22), (23), (24), (25), (26), (27), (28), (29), (30), (31)
ON DUPLICATE KEY UPDATE slot = slot;
