-- What happened to an order that its row does not show. An order that completes at its first attempt has no entry here.
CREATE TABLE IF NOT EXISTS order_timeline (
  order_id   VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  tenant     VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  time       DATETIME(3) NOT NULL COMMENT 'UTC',
  type       ENUM('retried', 'failed', 'redriven', 'cancelled') NOT NULL,
  request_id VARCHAR(128) CHARACTER SET utf8mb4 NULL,
  attempt    INT NULL COMMENT 'number of the attempt that failed',
  code       VARCHAR(64) CHARACTER SET utf8mb4 NULL COMMENT 'why the order failed',
  detail     VARCHAR(1000) CHARACTER SET utf8mb4 NULL COMMENT 'why the order failed, as a sentence',
  PRIMARY KEY (order_id, tenant, time, type)
) ENGINE = InnoDB;
