-- galera-lease, schema version 1, part 1: tables.
-- Every table is InnoDB and has a primary key: Galera certifies by primary key.
-- Nothing here decides by wall clock; all DATETIME columns (UTC) are for people.
SET SESSION sql_mode = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION';
-- Where a DBA works with RSU, tables and accounts would be made on one node, and rows in them on all: that node leaves the cluster.
SET SESSION wsrep_OSU_method = 'TOI';
SET SESSION character_set_client = utf8mb4, SESSION collation_connection = utf8mb4_general_ci;

CREATE DATABASE IF NOT EXISTS galera_lease CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- One row per lease. The versions that are compared and set are (epoch, counter, nonce).
CREATE TABLE IF NOT EXISTS galera_lease.lease (
    name        VARCHAR(63) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    epoch       BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'fencing token: rises at every start of a controller',
    counter     BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT '+1 at every write',
    nonce       BINARY(16) NOT NULL DEFAULT '' COMMENT 'who holds it; all zero: nobody',
    holder      VARCHAR(63) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '' COMMENT 'of a free row: the last holder',
    ttl_ms      INT UNSIGNED NOT NULL,
    state       ENUM('free', 'held', 'handover') CHARACTER SET ascii NOT NULL DEFAULT 'free',
    target      VARCHAR(63) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '' COMMENT 'who is meant to take it next',
    hold_until  DATETIME(3) NULL,
    hold_reason VARCHAR(255) NOT NULL DEFAULT '',
    created_at  DATETIME(3) NOT NULL DEFAULT current_timestamp(3),
    acquired_at DATETIME(3) NULL,
    renewed_at  DATETIME(3) NULL,
    PRIMARY KEY (name),
    CONSTRAINT lease_ttl CHECK (ttl_ms BETWEEN 100 AND 86400000)
) ENGINE = InnoDB;

-- Exactly one row per lease: the epoch whose work may commit. The primary key must be (name, epoch): with a foreign
-- key to any other key a stale transaction was seen to commit. Moved by the trigger on lease, by nobody else.
CREATE TABLE IF NOT EXISTS galera_lease.epoch (
    name  VARCHAR(63) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    epoch BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (name, epoch)
) ENGINE = InnoDB;

-- Always empty after a commit. NOT NULL matters: a NULL would pass the foreign key unchecked.
CREATE TABLE IF NOT EXISTS galera_lease.guard (
    id    BINARY(16) NOT NULL,
    name  VARCHAR(63) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    epoch BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (id),
    KEY guard_epoch (name, epoch),
    CONSTRAINT guard_epoch FOREIGN KEY (name, epoch) REFERENCES galera_lease.epoch (name, epoch)
        ON DELETE RESTRICT ON UPDATE RESTRICT
) ENGINE = InnoDB;

-- Which accounts may write to protected tables. The epoch of an account is the last one that its member won: the trigger
-- on lease sets it, so the account of a stale leader keeps the epoch that is over. Never the current epoch of the lease.
CREATE TABLE IF NOT EXISTS galera_lease.writer (
    lease   VARCHAR(63) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    account VARCHAR(128) NOT NULL COMMENT 'user name, without the host: one for each member',
    member  VARCHAR(63) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'empty: it writes without a guard',
    epoch   BIGINT UNSIGNED NOT NULL COMMENT '0: its member has not led since it was named',
    PRIMARY KEY (lease, account)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS galera_lease.member (
    lease       VARCHAR(63) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    name        VARCHAR(63) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    incarnation BINARY(16) NOT NULL COMMENT 'one start of the sidecar',
    heartbeat   BIGINT UNSIGNED NOT NULL COMMENT 'alive: it moved lately, on the clock of whoever looks',
    epoch_seen  BIGINT UNSIGNED NOT NULL COMMENT 'highest epoch this member remembers',
    priority    INT UNSIGNED NOT NULL DEFAULT 100 COMMENT '0 never leads',
    role        VARCHAR(63) NOT NULL DEFAULT '',
    why_not     VARCHAR(255) NOT NULL DEFAULT '' COMMENT 'why it is not the leader',
    address     VARCHAR(255) NOT NULL DEFAULT '',
    port        SMALLINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'of the controller',
    http_port   SMALLINT UNSIGNED NOT NULL DEFAULT 0,
    version     VARCHAR(63) NOT NULL DEFAULT '' COMMENT 'of the controller',
    sidecar     VARCHAR(63) NOT NULL DEFAULT '' COMMENT 'version of the sidecar',
    digest      VARCHAR(1023) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '' COMMENT 'of the controller''s files: path:hash,path:hash sorted; ?: not read yet',
    seen_at     DATETIME(3) NOT NULL,
    PRIMARY KEY (lease, name)
) ENGINE = InnoDB;

-- What people ask for. Claimed before it is acted on, so that none acts twice.
CREATE TABLE IF NOT EXISTS galera_lease.request (
    id          BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    lease       VARCHAR(63) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    action      ENUM('step_down', 'switchover', 'hold', 'unhold', 'ack', 'release') CHARACTER SET ascii NOT NULL,
    target      VARCHAR(63) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    hold_ms     INT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'hold: for how long, from its claim on',
    epoch       BIGINT UNSIGNED NOT NULL COMMENT 'of the lease when it was asked',
    who         VARCHAR(255) NOT NULL COMMENT 'the account that called, and from which host',
    why         VARCHAR(255) NOT NULL DEFAULT '',
    asked_at    DATETIME(3) NOT NULL,
    claimed_by  VARCHAR(63) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    claimed_at  DATETIME(3) NULL,
    outcome     VARCHAR(255) NOT NULL DEFAULT '' COMMENT 'begins with done, refused or unknown',
    finished_at DATETIME(3) NULL,
    PRIMARY KEY (id),
    KEY request_open (lease, claimed_by, id)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS galera_lease.event (
    id     BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    lease  VARCHAR(63) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    epoch  BIGINT UNSIGNED NOT NULL,
    member VARCHAR(63) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    what   VARCHAR(63) NOT NULL,
    reason VARCHAR(255) NOT NULL DEFAULT '',
    at     DATETIME(3) NOT NULL COMMENT 'when it happened, on the member''s wall clock',
    origin BINARY(16) NULL COMMENT 'incarnation of the sidecar that tells it',
    number BIGINT UNSIGNED NULL COMMENT '... its events, counted: told again after a lost answer, it stands here once',
    alarm      BOOLEAN NOT NULL DEFAULT FALSE COMMENT 'somebody must look at it; it lasts until it is acknowledged',
    acked_at   DATETIME(3) NULL,
    acked_by   VARCHAR(255) NOT NULL DEFAULT '',
    ack_reason VARCHAR(255) NOT NULL DEFAULT '',
    PRIMARY KEY (id),
    UNIQUE KEY event_once (origin, number),
    KEY event_at (lease, at),
    KEY event_alarm (lease, alarm, acked_at)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS galera_lease.schema_version (
    version    INT UNSIGNED NOT NULL,
    applied_at DATETIME(3) NOT NULL,
    PRIMARY KEY (version)
) ENGINE = InnoDB;
