-- The log of what operators changed: who, what, when and why.
CREATE TABLE IF NOT EXISTS admin_actions (
  seq        BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  id         CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  time       DATETIME(3) NOT NULL COMMENT 'UTC, when the request came',
  actor      VARCHAR(200) CHARACTER SET utf8mb4 NOT NULL,
  client     VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'address',
  request_id VARCHAR(128) CHARACTER SET utf8mb4 NOT NULL,
  action     VARCHAR(200) CHARACTER SET utf8mb4 NOT NULL,
  details    MEDIUMTEXT CHARACTER SET utf8mb4 NOT NULL COMMENT 'JSON of the parameters',
  reason     VARCHAR(500) CHARACTER SET utf8mb4 NULL,
  status     SMALLINT NULL COMMENT 'HTTP status of the answer; NULL while it is not known',
  UNIQUE KEY admin_actions_id (id)
) ENGINE = InnoDB;
