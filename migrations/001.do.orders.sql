-- One row per order. Ids are compared byte by byte: `A` and `a` are two orders.
CREATE TABLE IF NOT EXISTS orders (
  id           BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  order_id     VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  amount       DECIMAL(12, 4) NOT NULL,
  tax          DECIMAL(12, 4) NULL,
  total        DECIMAL(12, 4) NULL,
  status       ENUM('processing', 'completed', 'failed') NOT NULL,
  created_at   DATETIME(3) NOT NULL COMMENT 'UTC, when the order was accepted',
  updated_at   DATETIME(3) NOT NULL COMMENT 'UTC',
  processed_at DATETIME(3) NULL COMMENT 'UTC, when the order was finished',
  UNIQUE KEY orders_order_id (order_id),
  KEY orders_status_created_at (status, created_at),
  KEY orders_created_at (created_at)
) ENGINE = InnoDB;
