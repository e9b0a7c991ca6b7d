-- The requests with an Idempotency-Key, and the answers to those that have ended. An answer has no secret.
CREATE TABLE IF NOT EXISTS idempotency_keys (
  id          CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY COMMENT 'SHA-256 of tenant, caller and key',
  fingerprint CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'SHA-256 of the request',
  attempt     CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'the run of the request that may write this row',
  status      SMALLINT NULL COMMENT 'HTTP status of the answer; NULL while the request is in progress',
  headers     TEXT CHARACTER SET utf8mb4 NULL COMMENT 'JSON of the headers that a replay repeats',
  body        MEDIUMTEXT CHARACTER SET utf8mb4 NULL,
  created_at  DATETIME(3) NOT NULL COMMENT 'UTC',
  lease_until DATETIME(3) NOT NULL COMMENT 'UTC; from then on another attempt may run',
  expires_at  DATETIME(3) NOT NULL COMMENT 'UTC',
  KEY idempotency_keys_expires (expires_at)
) ENGINE = InnoDB;
