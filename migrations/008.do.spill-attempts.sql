-- Spilled orders that could not be completed yet: how often that was tried, and when it is tried again. A row goes when its
-- order is completed, or when its dead letter is in Redis.
CREATE TABLE spill_attempts (
  order_id VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  attempts INT NOT NULL,
  first_at DATETIME(3) NOT NULL COMMENT 'UTC',
  last_at  DATETIME(3) NOT NULL COMMENT 'UTC',
  due_at   DATETIME(3) NOT NULL COMMENT 'UTC',
  error    VARCHAR(100) NOT NULL COMMENT 'class of the last error',
  message  VARCHAR(1000) NOT NULL
) ENGINE = InnoDB;
