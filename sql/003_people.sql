-- galera-lease, schema version 1, part 3: what people call and look at.
DELIMITER $$

-- Asks the leader to stop its controller and give the lease away. Answers with the request's id.
CREATE OR REPLACE DEFINER = galera_lease_owner@localhost PROCEDURE galera_lease.step_down(IN lease_name VARCHAR(63) CHARACTER SET ascii COLLATE ascii_bin, IN reason VARCHAR(255))
    MODIFIES SQL DATA
    SQL SECURITY DEFINER
    COMMENT 'asks the leader to stop its controller and give the lease away'
BEGIN
    DECLARE lease_epoch BIGINT UNSIGNED DEFAULT NULL;
    DECLARE lease_state VARCHAR(16) DEFAULT NULL;
    SELECT epoch, state INTO lease_epoch, lease_state FROM galera_lease.lease WHERE name = lease_name;
    IF lease_state IS NULL THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'galera_lease.step_down: there is no such lease';
    END IF;
    IF lease_state = 'free' THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'galera_lease.step_down: nobody holds this lease now';
    END IF;
    INSERT INTO galera_lease.request (lease, action, epoch, who, why, asked_at)
        VALUES (lease_name, 'step_down', lease_epoch, USER(), COALESCE(reason, ''), UTC_TIMESTAMP(3));
    SELECT LAST_INSERT_ID() AS request;
END$$

CREATE OR REPLACE DEFINER = galera_lease_owner@localhost PROCEDURE galera_lease.switchover(IN lease_name VARCHAR(63) CHARACTER SET ascii COLLATE ascii_bin, IN to_member VARCHAR(63) CHARACTER SET ascii COLLATE ascii_bin, IN reason VARCHAR(255))
    MODIFIES SQL DATA
    SQL SECURITY DEFINER
    COMMENT 'asks the leader to hand the lease to the member named'
BEGIN
    DECLARE lease_epoch BIGINT UNSIGNED DEFAULT NULL;
    DECLARE lease_state VARCHAR(16) DEFAULT NULL;
    DECLARE lease_holder VARCHAR(63) DEFAULT NULL;
    DECLARE member_priority INT UNSIGNED DEFAULT NULL;
    SELECT epoch, state, holder INTO lease_epoch, lease_state, lease_holder FROM galera_lease.lease WHERE name = lease_name;
    IF lease_state IS NULL THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'galera_lease.switchover: there is no such lease';
    END IF;
    IF lease_state = 'free' THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'galera_lease.switchover: nobody holds this lease now';
    END IF;
    IF lease_holder = to_member THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'galera_lease.switchover: that member is the leader already';
    END IF;
    SELECT priority INTO member_priority FROM galera_lease.member WHERE lease = lease_name AND name = to_member;
    IF member_priority IS NULL THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'galera_lease.switchover: there is no such member of this lease';
    END IF;
    IF member_priority = 0 THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'galera_lease.switchover: that member has priority 0 and never leads';
    END IF;
    INSERT INTO galera_lease.request (lease, action, target, epoch, who, why, asked_at)
        VALUES (lease_name, 'switchover', to_member, lease_epoch, USER(), COALESCE(reason, ''), UTC_TIMESTAMP(3));
    SELECT LAST_INSERT_ID() AS request;
END$$

DELIMITER ;

CREATE OR REPLACE DEFINER = galera_lease_owner@localhost SQL SECURITY DEFINER VIEW galera_lease.controllers AS
SELECT m.lease AS lease,
       CASE WHEN l.state = 'held' AND l.holder = m.name THEN 'leader'
            WHEN l.state = 'handover' AND l.holder = m.name THEN 'handover'
            ELSE 'follower' END AS standing,
       m.version AS version, m.name AS name, m.address AS address, m.port AS port, m.epoch_seen AS epoch,
       CAST(TIMESTAMPDIFF(MICROSECOND, m.seen_at, UTC_TIMESTAMP(3)) / 1000000 AS DECIMAL(12,1)) AS seen_s,
       m.priority AS priority, m.role AS role, m.why_not AS comment
FROM galera_lease.member m LEFT JOIN galera_lease.lease l ON l.name = m.lease;

CREATE OR REPLACE DEFINER = galera_lease_owner@localhost SQL SECURITY DEFINER VIEW galera_lease.leader AS
SELECT l.name AS lease, IF(l.state = 'free', NULL, l.holder) AS leader, l.epoch AS epoch, l.state AS state,
       m.address AS address, m.port AS port, l.ttl_ms AS ttl_ms, l.acquired_at AS acquired_at,
       l.renewed_at AS renewed_at
FROM galera_lease.lease l
LEFT JOIN galera_lease.member m ON m.lease = l.name AND m.name = l.holder AND l.state <> 'free';

CREATE OR REPLACE DEFINER = galera_lease_owner@localhost SQL SECURITY DEFINER VIEW galera_lease.history AS
SELECT lease, at, epoch, member, what, reason, id FROM galera_lease.event;
