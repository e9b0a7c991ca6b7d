-- The webhook endpoints of the tenants. One worker at a time sends to an endpoint: the one that has the lease.
CREATE TABLE IF NOT EXISTS webhook_endpoints (
  id              CHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  tenant          VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  url             VARCHAR(2048) CHARACTER SET utf8mb4 NOT NULL,
  events          VARCHAR(200) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'types with a space between two; NULL for all',
  state           ENUM('enabled', 'disabled', 'deleted') NOT NULL,
  disabled_reason VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NULL,
  secret          VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'readable, because it signs',
  previous_secret VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NULL,
  previous_until  DATETIME(3) NULL COMMENT 'UTC, until then the previous secret signs, too',
  created_at      DATETIME(3) NOT NULL COMMENT 'UTC',
  updated_at      DATETIME(3) NOT NULL COMMENT 'UTC',
  failures        INT NOT NULL DEFAULT 0 COMMENT 'deliveries that failed since the last success',
  parked_until    DATETIME(3) NULL COMMENT 'UTC, when the next probe is due; NULL while it is not parked',
  owner           VARCHAR(255) CHARACTER SET utf8mb4 NULL COMMENT 'process that sends',
  leased_until    DATETIME(3) NOT NULL DEFAULT '2000-01-01' COMMENT 'UTC',
  KEY webhook_endpoints_tenant (tenant, id)
) ENGINE = InnoDB;

-- The deliveries of events to endpoints: the queue and the log. An event has one row for each of its endpoints.
CREATE TABLE IF NOT EXISTS webhook_deliveries (
  id               BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  endpoint_id      CHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  message_id       VARCHAR(200) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'webhook-id: the id of the event',
  type             VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  occurred_at      DATETIME(3) NOT NULL COMMENT 'UTC, the time of the event',
  status           ENUM('waiting', 'delivered', 'failed', 'dropped') NOT NULL,
  due_at           DATETIME(3) NOT NULL COMMENT 'UTC, when the next attempt of a waiting delivery is due; of any other, its end',
  attempts         INT NOT NULL DEFAULT 0,
  first_attempt_at DATETIME(3) NULL COMMENT 'UTC',
  last_attempt_at  DATETIME(3) NULL COMMENT 'UTC',
  response_code    SMALLINT NULL COMMENT 'of the last attempt',
  duration_ms      INT NULL COMMENT 'of the last attempt',
  error            VARCHAR(200) CHARACTER SET utf8mb4 NULL COMMENT 'why the last attempt failed',
  payload          MEDIUMTEXT CHARACTER SET utf8mb4 NOT NULL,
  UNIQUE KEY webhook_deliveries_message (endpoint_id, message_id),
  KEY webhook_deliveries_due (endpoint_id, status, due_at),
  KEY webhook_deliveries_log (endpoint_id, occurred_at)
) ENGINE = InnoDB;
