-- One row per order whose payment was reserved.
CREATE TABLE IF NOT EXISTS reservations (
  order_id VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  amount   DECIMAL(12, 4) NOT NULL
) ENGINE = InnoDB;
