-- galera-lease, schema version 1, part 3: what people call and look at.
-- The arguments are TEXT on purpose: under a caller's lax sql_mode a narrower type cuts and rounds without a word
-- ('10m' as a number is 10), before the first line of the procedure can look at it.
DELIMITER $$

-- Behind the procedures below; nobody is given the right to call it. USER() is the caller's account as it logged in,
-- also in here; CURRENT_USER() would be the owner of this procedure.
CREATE OR REPLACE DEFINER = galera_lease_owner@localhost PROCEDURE galera_lease.ask(IN asked TEXT, IN lease_name TEXT, IN to_member TEXT, IN seconds TEXT, IN reason TEXT)
    MODIFIES SQL DATA
    SQL SECURITY DEFINER
    COMMENT 'checks and writes a request; for the other procedures'
BEGIN
    DECLARE mistake TEXT DEFAULT NULL;
    DECLARE lease_key, member_key VARCHAR(63) CHARACTER SET ascii COLLATE ascii_bin DEFAULT '';
    DECLARE lease_epoch BIGINT UNSIGNED DEFAULT 0;
    DECLARE lease_state VARCHAR(16) DEFAULT NULL;
    DECLARE lease_holder VARCHAR(63) DEFAULT '';
    DECLARE member_priority INT UNSIGNED DEFAULT NULL;
    DECLARE member_why VARCHAR(255) DEFAULT '';
    DECLARE CONTINUE HANDLER FOR NOT FOUND BEGIN END;

    -- What can be said without looking anything up.
    SET mistake = CASE
        WHEN COALESCE(lease_name, '') = '' THEN 'which lease? Give its name first; SELECT lease FROM galera_lease.leader lists them'
        WHEN CHAR_LENGTH(lease_name) > 63 OR lease_name REGEXP '[^A-Za-z0-9._-]' OR lease_name REGEXP '^[.-]'
            THEN 'this cannot be the name of a lease; SELECT lease FROM galera_lease.leader lists them'
        WHEN asked = 'switchover' AND COALESCE(to_member, '') = ''
            THEN 'to which member? SELECT name FROM galera_lease.controllers lists them; for any other: step_down'
        WHEN CHAR_LENGTH(to_member) > 63 OR to_member REGEXP '[^A-Za-z0-9._-]' OR to_member REGEXP '^[.-]'
            THEN 'this cannot be the name of a member; SELECT name FROM galera_lease.controllers lists them'
        WHEN asked = 'hold' AND (COALESCE(seconds, '') REGEXP '[^0-9]' OR CHAR_LENGTH(COALESCE(seconds, '')) NOT BETWEEN 1 AND 9
            OR CAST(seconds AS UNSIGNED) NOT BETWEEN 1 AND 86400)
            THEN 'for how long? Give whole seconds, 1 to 86400 (a day), such as 600'
        WHEN asked IN ('hold', 'ack', 'release') AND TRIM(COALESCE(reason, '')) = ''
            THEN 'why? Give a reason last: those who look later see it beside your name'
        WHEN CHAR_LENGTH(reason) > 255 THEN CONCAT('the reason has ', CHAR_LENGTH(reason), ' characters; at most 255 are kept: shorten it')
        WHEN reason REGEXP '[[:cntrl:]]' THEN 'the reason must be one line without control characters'
        END;
    IF mistake IS NULL THEN
        SET lease_key = lease_name, member_key = COALESCE(to_member, '');
        SELECT epoch, state, holder INTO lease_epoch, lease_state, lease_holder FROM galera_lease.lease WHERE name = lease_key;
        SELECT priority, why_not INTO member_priority, member_why FROM galera_lease.member WHERE lease = lease_key AND name = member_key;
        SET mistake = CASE
            WHEN lease_state IS NULL
                THEN CONCAT('there is no such lease as ', lease_key, '; SELECT lease FROM galera_lease.leader lists them')
            WHEN lease_state = 'free' AND asked <> 'ack' THEN CONCAT('nobody holds the lease ', lease_key, ' now: nobody would act on it')
            WHEN asked = 'switchover' AND lease_holder = member_key THEN CONCAT(member_key, ' is the leader already')
            WHEN asked = 'switchover' AND member_priority IS NULL
                THEN CONCAT('there is no such member as ', member_key, '; SELECT name FROM galera_lease.controllers lists them')
            WHEN asked = 'switchover' AND member_priority = 0
                THEN CONCAT(member_key, ' cannot take the lease now: ',
                    IF(member_why IN ('', 'Another member holds the lease.'), 'Its priority is 0', TRIM(TRAILING '.' FROM member_why)), '. Name another, or ask again later')
            END;
    END IF;
    IF mistake IS NOT NULL THEN
        SET mistake = CONCAT('galera_lease.', CASE asked WHEN 'ack' THEN 'alarm_ack' WHEN 'release' THEN 'release_stopped' ELSE asked END, ': ', mistake);
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = mistake;
    END IF;
    INSERT INTO galera_lease.request (lease, action, target, hold_ms, epoch, who, why, asked_at)
        VALUES (lease_key, asked, member_key, COALESCE(seconds, 0) * 1000, lease_epoch, LEFT(USER(), 255), COALESCE(reason, ''), UTC_TIMESTAMP(3));
    SELECT LAST_INSERT_ID() AS request;
END$$

-- Which of a member's files differ from the leader's, in sentences; empty: none, or nothing is known. Both are digests:
-- path:word,path:word, where the word is a hash, or says why there is none. "?": they have not been read yet.
CREATE OR REPLACE DEFINER = galera_lease_owner@localhost FUNCTION galera_lease.file_drift(mine TEXT, leaders TEXT) RETURNS VARCHAR(255) CHARACTER SET ascii
    DETERMINISTIC
    NO SQL
    SQL SECURITY INVOKER
    COMMENT 'which files of a member differ from the leader''s'
BEGIN
    DECLARE said TEXT DEFAULT '';
    DECLARE entry, path, name, my_word, their_word TEXT;
    DECLARE rest TEXT DEFAULT mine;
    DECLARE found INT UNSIGNED;

    IF mine = '' OR mine = leaders OR leaders IN ('', '?') THEN
        RETURN '';
    END IF;
    IF mine = '?' THEN
        RETURN 'Its files have not been read yet.';
    END IF;
    WHILE rest <> '' DO
        SET entry = SUBSTRING_INDEX(rest, ',', 1);
        SET rest = SUBSTRING(rest, CHAR_LENGTH(entry) + 2);
        SET path = SUBSTRING_INDEX(entry, ':', 1), my_word = SUBSTRING_INDEX(entry, ':', -1);
        -- The last part of the path, unless that is the name of two.
        SET name = SUBSTRING_INDEX(path, '/', -1);
        IF LOCATE(CONCAT('/', name, ':'), mine, LOCATE(CONCAT('/', name, ':'), mine) + 1) > 0 THEN
            SET name = path;
        END IF;
        SET found = LOCATE(CONCAT(',', path, ':'), CONCAT(',', leaders));
        SET their_word = IF(found = 0, 'unlisted', SUBSTRING_INDEX(SUBSTRING(leaders, found + CHAR_LENGTH(path) + 1), ',', 1));
        IF my_word <> their_word THEN
            SET said = CONCAT_WS(' ', NULLIF(said, ''), CONCAT(name, CASE
                WHEN their_word = 'unlisted' THEN ' is not among the leader''s files.'
                WHEN my_word = 'missing' THEN ' is missing; the leader has it.'
                WHEN my_word IN ('unreadable', 'too-big') THEN CONCAT(' is ', my_word, ' here.')
                WHEN their_word = 'missing' THEN ' is missing on the leader''s host.'
                WHEN their_word IN ('unreadable', 'too-big') THEN CONCAT(' is ', their_word, ' on the leader''s host.')
                ELSE ' differs from the leader''s.' END));
        END IF;
    END WHILE;
    SET rest = leaders;
    WHILE rest <> '' DO
        SET entry = SUBSTRING_INDEX(rest, ',', 1);
        SET rest = SUBSTRING(rest, CHAR_LENGTH(entry) + 2);
        SET path = SUBSTRING_INDEX(entry, ':', 1);
        IF LOCATE(CONCAT(',', path, ':'), CONCAT(',', mine)) = 0 THEN
            SET said = CONCAT_WS(' ', NULLIF(said, ''), CONCAT(SUBSTRING_INDEX(path, '/', -1), ' is among the leader''s files only.'));
        END IF;
    END WHILE;
    RETURN LEFT(said, 255);
END$$

-- Each asks, and answers with the request's id. The leader acts; what became of it: CALL request_outcome(id).
CREATE OR REPLACE DEFINER = galera_lease_owner@localhost PROCEDURE galera_lease.step_down(IN lease_name TEXT, IN reason TEXT)
    MODIFIES SQL DATA
    SQL SECURITY DEFINER
    COMMENT 'asks the leader to stop its controller and give the lease away'
BEGIN
    CALL galera_lease.ask('step_down', lease_name, NULL, NULL, reason);
END$$

CREATE OR REPLACE DEFINER = galera_lease_owner@localhost PROCEDURE galera_lease.switchover(IN lease_name TEXT, IN to_member TEXT, IN reason TEXT)
    MODIFIES SQL DATA
    SQL SECURITY DEFINER
    COMMENT 'asks the leader to hand the lease to the member named'
BEGIN
    CALL galera_lease.ask('switchover', lease_name, to_member, NULL, reason);
END$$

CREATE OR REPLACE DEFINER = galera_lease_owner@localhost PROCEDURE galera_lease.hold(IN lease_name TEXT, IN seconds TEXT, IN reason TEXT)
    MODIFIES SQL DATA
    SQL SECURITY DEFINER
    COMMENT 'asks the leader to lengthen its lease for maintenance'
BEGIN
    CALL galera_lease.ask('hold', lease_name, NULL, seconds, reason);
END$$

CREATE OR REPLACE DEFINER = galera_lease_owner@localhost PROCEDURE galera_lease.unhold(IN lease_name TEXT)
    MODIFIES SQL DATA
    SQL SECURITY DEFINER
    COMMENT 'asks the leader to end a hold before its time'
BEGIN
    CALL galera_lease.ask('unhold', lease_name, NULL, NULL, NULL);
END$$

CREATE OR REPLACE DEFINER = galera_lease_owner@localhost PROCEDURE galera_lease.alarm_ack(IN lease_name TEXT, IN reason TEXT)
    MODIFIES SQL DATA
    SQL SECURITY DEFINER
    COMMENT 'acknowledges the alarms of a lease'
BEGIN
    DECLARE request_id BIGINT UNSIGNED;
    DECLARE acknowledged INT UNSIGNED;
    CALL galera_lease.ask('ack', lease_name, NULL, NULL, reason);
    -- Needs no sidecar: alarms are rows.
    SET request_id = LAST_INSERT_ID();
    UPDATE galera_lease.event SET acked_at = UTC_TIMESTAMP(3), acked_by = LEFT(USER(), 255), ack_reason = reason
        WHERE lease = lease_name AND alarm AND acked_at IS NULL;
    SET acknowledged = ROW_COUNT();
    UPDATE galera_lease.request SET claimed_at = asked_at, finished_at = UTC_TIMESTAMP(3),
        outcome = IF(acknowledged > 0, CONCAT('done: ', acknowledged, ' alarm(s) acknowledged'), 'refused: there is no open alarm')
        WHERE id = request_id;
END$$

-- Break-glass: a person says that the controller of this epoch is stopped, which nobody could confirm, and frees the row.
-- Nothing else here overrules a holder.
CREATE OR REPLACE DEFINER = galera_lease_owner@localhost PROCEDURE galera_lease.release_stopped(IN lease_name TEXT, IN stopped_epoch BIGINT UNSIGNED, IN reason TEXT)
    MODIFIES SQL DATA
    SQL SECURITY DEFINER
    COMMENT 'frees a lease whose controller YOU have stopped'
BEGIN
    DECLARE request_id BIGINT UNSIGNED;
    DECLARE released INT UNSIGNED;
    CALL galera_lease.ask('release', lease_name, NULL, NULL, reason);
    SET request_id = LAST_INSERT_ID();
    UPDATE galera_lease.lease SET state = 'free', nonce = '', counter = counter + 1, target = '', hold_until = NULL, hold_reason = ''
        WHERE name = lease_name AND epoch = stopped_epoch AND state <> 'free';
    SET released = ROW_COUNT();
    UPDATE galera_lease.request SET claimed_at = asked_at, finished_at = UTC_TIMESTAMP(3),
        outcome = IF(released > 0, CONCAT('done: epoch ', stopped_epoch, ' is released'), 'refused: the lease is not held with that epoch')
        WHERE id = request_id;
END$$

-- The read waits for what was committed before it on any node: the leader may have answered through another one.
CREATE OR REPLACE DEFINER = galera_lease_owner@localhost PROCEDURE galera_lease.request_outcome(IN request BIGINT UNSIGNED)
    READS SQL DATA
    SQL SECURITY DEFINER
    COMMENT 'what became of a request'
BEGIN
    DECLARE known BOOLEAN DEFAULT FALSE;
    SET STATEMENT wsrep_sync_wait = 1 FOR SELECT COUNT(*) INTO known FROM galera_lease.request WHERE id = request;
    IF NOT known THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'galera_lease.request_outcome: there is no such request; SELECT * FROM galera_lease.requests lists them';
    END IF;
    SELECT * FROM galera_lease.requests WHERE id = request;
END$$

DELIMITER ;

-- Views, for people; all times are UTC. What is seen as "not seen" goes by the wall clock of the node that answers.
CREATE OR REPLACE DEFINER = galera_lease_owner@localhost SQL SECURITY DEFINER VIEW galera_lease.controllers AS
SELECT s.lease AS lease, s.name AS name, s.standing AS standing, s.version AS version, s.address AS address, s.port AS port,
       s.epoch AS epoch, s.seen_s AS seen_s, s.priority AS priority,
       CASE WHEN s.standing = 'leader' THEN 'Acting as leader.'
            WHEN s.standing = 'ended' THEN CONCAT('Ended at ', s.seen_at, '.')
            WHEN s.standing = 'not seen' THEN CONCAT('Not seen since ', s.seen_at, '.', IF(s.holds, ' It holds the lease.', ''))
            ELSE CONCAT(IF(s.why_not = 'Another member holds the lease.', 'Accepting heartbeats.', s.why_not),
                        IF(s.standing = 'follower' AND s.drift <> '', CONCAT(' ', s.drift), '')) END AS comment
FROM (SELECT m.*, l.state <> 'free' AND l.holder = m.name AS holds,
             IF(l.state <> 'free' AND l.holder = m.name, l.epoch, m.epoch_seen) AS epoch,
             CAST(GREATEST(0, TIMESTAMPDIFF(MICROSECOND, m.seen_at, UTC_TIMESTAMP(3))) / 1000000 AS DECIMAL(12,1)) AS seen_s,
             CASE WHEN m.role = 'ended' THEN 'ended'
                  WHEN TIMESTAMPDIFF(MICROSECOND, m.seen_at, UTC_TIMESTAMP(3)) > (IF(l.hold_until IS NULL, l.ttl_ms, LEAST(l.ttl_ms, 60000)) * 2 / 5 + 1000) * 1000 THEN 'not seen'
                  WHEN m.role = 'leader' AND NOT (l.state <> 'free' AND l.holder = m.name) THEN 'unclear'
                  ELSE m.role END AS standing,
             COALESCE(galera_lease.file_drift(m.digest, h.digest), '') AS drift
      FROM galera_lease.member m JOIN galera_lease.lease l ON l.name = m.lease
      LEFT JOIN galera_lease.member h ON h.lease = m.lease AND h.name = l.holder) s
ORDER BY s.lease, s.name;

CREATE OR REPLACE DEFINER = galera_lease_owner@localhost SQL SECURITY DEFINER VIEW galera_lease.leader AS
SELECT l.name AS lease, IF(l.state = 'free', NULL, l.holder) AS leader, l.state AS state, l.epoch AS epoch,
       m.address AS address, m.port AS port, l.acquired_at AS since, l.renewed_at AS renewed_at, l.ttl_ms AS ttl_ms,
       l.hold_until AS hold_until, l.hold_reason AS hold_reason
FROM galera_lease.lease l LEFT JOIN galera_lease.member m ON m.lease = l.name AND m.name = l.holder AND l.state <> 'free'
ORDER BY l.name;

CREATE OR REPLACE DEFINER = galera_lease_owner@localhost SQL SECURITY DEFINER VIEW galera_lease.requests AS
SELECT id, asked_at AS at, lease, action, target, hold_ms DIV 1000 AS hold_s, who, why AS reason,
       CASE WHEN outcome LIKE 'done%' THEN 'done'
            WHEN outcome LIKE 'unknown%' THEN 'unknown'
            WHEN outcome <> '' THEN 'refused'
            WHEN claimed_by <> '' THEN 'claimed'
            ELSE 'open' END AS standing,
       claimed_by AS member, outcome, finished_at
FROM galera_lease.request
ORDER BY id;

-- What happened, and what people asked for, in the order of time.
CREATE OR REPLACE DEFINER = galera_lease_owner@localhost SQL SECURITY DEFINER VIEW galera_lease.history AS
SELECT at, lease, epoch, member, IF(alarm, CONCAT('ALARM: ', what), what) AS what, reason, '' AS who, COALESCE(number, 0) AS number
FROM galera_lease.event
UNION ALL
SELECT asked_at, lease, epoch, target, CONCAT('asked: ', action, IF(hold_ms > 0, CONCAT(' ', hold_ms DIV 1000, ' s'), '')), why, who, 0
FROM galera_lease.request
UNION ALL
SELECT finished_at, lease, epoch, claimed_by, CONCAT('answered: ', action), outcome, who, 0
FROM galera_lease.request WHERE finished_at IS NOT NULL
ORDER BY at, number;

-- What somebody must look at: open until CALL alarm_ack(lease, reason).
CREATE OR REPLACE DEFINER = galera_lease_owner@localhost SQL SECURITY DEFINER VIEW galera_lease.alarms AS
SELECT at, lease, epoch, member, what, reason FROM galera_lease.event WHERE alarm AND acked_at IS NULL ORDER BY at;

-- The lease row as the sidecar reads it, so that it needs no right on the epoch table.
CREATE OR REPLACE DEFINER = galera_lease_owner@localhost SQL SECURITY DEFINER VIEW galera_lease.lease_and_epoch AS
SELECT l.*, (SELECT COALESCE(MAX(e.epoch), 0) FROM galera_lease.epoch e WHERE e.name = l.name) AS epoch_table
FROM galera_lease.lease l;
