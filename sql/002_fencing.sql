-- galera-lease, schema version 1, part 2: fencing inside the database.

-- Whose rights triggers, procedures and views have. Nobody can log in as it. Were it the account that ran this file,
-- every takeover would fail with 1449 from the day that person's account is dropped (measured).
CREATE USER IF NOT EXISTS galera_lease_owner@localhost
    IDENTIFIED VIA mysql_native_password USING 'invalid' ACCOUNT LOCK;
GRANT SELECT, INSERT, UPDATE, DELETE, EXECUTE, TRIGGER ON galera_lease.* TO galera_lease_owner@localhost;

DELIMITER $$

-- Winning the row and shutting out the old epoch are one statement and one write set. The epoch row is *updated*:
-- replacing it by DELETE and INSERT let a stale acquirer's late INSERT re-open its dead epoch. The INSERT below is
-- only for a row that somebody removed by hand. It only rises (R8): if it followed a lease row that somebody lowered, an
-- epoch that was shut out could commit again; like this the readers of both see that the row went back.
CREATE OR REPLACE DEFINER = galera_lease_owner@localhost TRIGGER galera_lease.lease_moves_epoch AFTER UPDATE ON galera_lease.lease FOR EACH ROW
BEGIN
    IF NEW.epoch > OLD.epoch THEN
        IF EXISTS (SELECT 1 FROM galera_lease.epoch WHERE name = NEW.name) THEN
            UPDATE galera_lease.epoch SET epoch = NEW.epoch WHERE name = NEW.name AND epoch < NEW.epoch;
        ELSE
            INSERT INTO galera_lease.epoch (name, epoch) VALUES (NEW.name, NEW.epoch);
        END IF;
        UPDATE galera_lease.writer SET epoch = NEW.epoch WHERE lease = NEW.name AND member = NEW.holder AND epoch < NEW.epoch;
    END IF;
END$$

-- A lease row that is made again keeps the epoch that the epoch table remembers.
CREATE OR REPLACE DEFINER = galera_lease_owner@localhost TRIGGER galera_lease.lease_keeps_epoch BEFORE INSERT ON galera_lease.lease FOR EACH ROW
BEGIN
    SET NEW.epoch = GREATEST(NEW.epoch, (SELECT COALESCE(MAX(epoch), 0) FROM galera_lease.epoch WHERE name = NEW.name));
END$$

CREATE OR REPLACE DEFINER = galera_lease_owner@localhost TRIGGER galera_lease.lease_makes_epoch AFTER INSERT ON galera_lease.lease FOR EACH ROW
BEGIN
    IF EXISTS (SELECT 1 FROM galera_lease.epoch WHERE name = NEW.name) THEN
        UPDATE galera_lease.epoch SET epoch = NEW.epoch WHERE name = NEW.name;
    ELSE
        INSERT INTO galera_lease.epoch (name, epoch) VALUES (NEW.name, NEW.epoch);
    END IF;
END$$

-- Puts the guard into the transaction that calls it; nobody is given the right to call it. The foreign key of the row
-- that comes and goes is what counts: it makes the write set depend on the row of that epoch.
CREATE OR REPLACE DEFINER = galera_lease_owner@localhost PROCEDURE galera_lease.guard_row(IN lease_name VARCHAR(63) CHARACTER SET ascii COLLATE ascii_bin, IN lease_epoch BIGINT UNSIGNED)
    MODIFIES SQL DATA
    SQL SECURITY DEFINER
    COMMENT 'for guard and the triggers of protected tables'
BEGIN
    DECLARE guard_id BINARY(16) DEFAULT RANDOM_BYTES(16);
    DECLARE mistake TEXT DEFAULT CASE
        WHEN @@foreign_key_checks = 0 THEN 'foreign_key_checks is 0, so it would guard nothing: leave it at 1'
        WHEN @@wsrep_on = 0 THEN 'wsrep_on is 0, so it would guard nothing: leave it at 1'
        WHEN @@wsrep_trx_fragment_size > 0 THEN 'wsrep_trx_fragment_size is set: streamed transactions are not guarded, leave it at 0'
        WHEN lease_name IS NULL OR lease_epoch IS NULL THEN 'the lease name and the epoch must not be NULL'
        WHEN lease_epoch = 0 THEN 'the epoch is 0, which is nobody''s: give the one that the controller was started with'
        END;
    IF mistake IS NOT NULL THEN
        SET mistake = CONCAT('galera_lease.guard: ', mistake);
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = mistake;
    END IF;
    -- A guarded transaction that idles must not block a takeover for ever.
    IF @@idle_write_transaction_timeout NOT BETWEEN 1 AND 5 THEN
        SET SESSION idle_write_transaction_timeout = 5;
    END IF;
    INSERT INTO galera_lease.guard (id, name, epoch) VALUES (guard_id, lease_name, lease_epoch);
    DELETE FROM galera_lease.guard WHERE id = guard_id;
END$$

-- For controllers, inside their transaction: CALL galera_lease.guard('cmon', 42). The transaction commits only while 42
-- is the epoch of that lease: otherwise 1452 at once, or 1213 at the latest at its commit.
CREATE OR REPLACE DEFINER = galera_lease_owner@localhost PROCEDURE galera_lease.guard(IN lease_name VARCHAR(63) CHARACTER SET ascii COLLATE ascii_bin, IN lease_epoch BIGINT UNSIGNED)
    MODIFIES SQL DATA
    SQL SECURITY DEFINER
    COMMENT 'this transaction may commit only while the lease has this epoch'
BEGIN
    -- With autocommit off the guard's INSERT begins the transaction, as any first statement does.
    IF @@in_transaction = 0 AND @@autocommit = 1 THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'galera_lease.guard: not inside a transaction, so it would guard nothing: START TRANSACTION first';
    END IF;
    CALL galera_lease.guard_row(lease_name, lease_epoch);
END$$

-- The guard of a writer that does not know its epoch: called by the triggers of protected tables. The epoch is that of
-- the account (table writer), and a connection stays with the epoch of its first guarded write, so that what a dead
-- process left in the server cannot go on under the epoch of its successor on the same host.
CREATE OR REPLACE DEFINER = galera_lease_owner@localhost PROCEDURE galera_lease.guard_writer(IN lease_name VARCHAR(63) CHARACTER SET ascii COLLATE ascii_bin)
    MODIFIES SQL DATA
    SQL SECURITY DEFINER
    COMMENT 'for the triggers of protected tables'
BEGIN
    DECLARE writer_account VARCHAR(128) DEFAULT LEFT(USER(), CHAR_LENGTH(USER()) - CHAR_LENGTH(SUBSTRING_INDEX(USER(), '@', -1)) - 1);
    DECLARE writer_member VARCHAR(63) DEFAULT NULL;
    DECLARE writer_epoch BIGINT UNSIGNED DEFAULT 0;
    DECLARE mistake, mark TEXT DEFAULT NULL;
    DECLARE CONTINUE HANDLER FOR NOT FOUND BEGIN END;

    SELECT member, epoch INTO writer_member, writer_epoch FROM galera_lease.writer WHERE lease = lease_name AND account = writer_account;
    SET mark = CONCAT(lease_name, ' ', writer_epoch);
    SET mistake = CASE
        WHEN writer_member IS NULL THEN CONCAT('is no writer of the lease ', lease_name, ': see galera_lease.allow_writer')
        WHEN writer_member = '' THEN NULL
        WHEN writer_epoch = 0 THEN CONCAT('belongs to member ', writer_member, ', which has not led the lease ', lease_name, ' yet')
        WHEN @galera_lease_writer <> mark THEN CONCAT('wrote for "', @galera_lease_writer, '" on this connection, now it is "', mark, '": connect anew')
        END;
    IF mistake IS NOT NULL THEN
        SET mistake = LEFT(CONCAT('galera_lease: this table is protected, and account ', writer_account, ' ', mistake), 500);
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = mistake;
    END IF;
    IF writer_member <> '' THEN
        CALL galera_lease.guard_row(lease_name, writer_epoch);
        SET @galera_lease_writer = mark;
    END IF;
END$$

-- Names the account of a member's controller. If the member leads now, its account has the epoch that it won.
CREATE OR REPLACE DEFINER = galera_lease_owner@localhost PROCEDURE galera_lease.allow_writer(IN writer_account TEXT, IN lease_name TEXT, IN member_name TEXT)
    MODIFIES SQL DATA
    SQL SECURITY DEFINER
    COMMENT 'the controller of this member writes to protected tables with this account'
BEGIN
    DECLARE mistake TEXT DEFAULT CASE
        WHEN COALESCE(writer_account, '') = '' OR CHAR_LENGTH(writer_account) > 128 THEN 'which account? Give the user name alone, without the host'
        WHEN NOT EXISTS (SELECT 1 FROM galera_lease.lease WHERE name = COALESCE(lease_name, ''))
            THEN 'there is no such lease; SELECT lease FROM galera_lease.leader lists them'
        WHEN COALESCE(member_name, '') = '' OR CHAR_LENGTH(member_name) > 63 OR member_name REGEXP '[^A-Za-z0-9._-]'
            THEN 'of which member? SELECT name FROM galera_lease.controllers lists them'
        END;
    IF mistake IS NOT NULL THEN
        SET mistake = CONCAT('galera_lease.allow_writer: ', mistake);
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = mistake;
    END IF;
    REPLACE INTO galera_lease.writer (lease, account, member, epoch)
        SELECT name, writer_account, member_name, IF(state <> 'free' AND holder = member_name, epoch, 0)
        FROM galera_lease.lease WHERE name = lease_name;
END$$

-- For people and programs that are not the controller, and take the consequences.
CREATE OR REPLACE DEFINER = galera_lease_owner@localhost PROCEDURE galera_lease.exempt_writer(IN writer_account TEXT, IN lease_name TEXT)
    MODIFIES SQL DATA
    SQL SECURITY DEFINER
    COMMENT 'this account writes to protected tables without a guard'
BEGIN
    IF COALESCE(writer_account, '') = '' OR CHAR_LENGTH(writer_account) > 128 OR NOT EXISTS (SELECT 1 FROM galera_lease.lease WHERE name = COALESCE(lease_name, '')) THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'galera_lease.exempt_writer: give the user name alone, without the host, and the name of a lease that is there';
    END IF;
    REPLACE INTO galera_lease.writer (lease, account, member, epoch) VALUES (lease_name, writer_account, '', 0);
END$$

CREATE OR REPLACE DEFINER = galera_lease_owner@localhost PROCEDURE galera_lease.forget_writer(IN writer_account TEXT, IN lease_name TEXT)
    MODIFIES SQL DATA
    SQL SECURITY DEFINER
    COMMENT 'this account writes to protected tables no more'
BEGIN
    DELETE FROM galera_lease.writer WHERE lease = lease_name AND account = writer_account;
    IF ROW_COUNT() = 0 THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'galera_lease.forget_writer: there is no such writer of this lease; SELECT * FROM galera_lease.writer lists them';
    END IF;
END$$

-- Both run with the rights of the caller: it is DDL on somebody else's table. The triggers have the owner's rights.
CREATE OR REPLACE DEFINER = galera_lease_owner@localhost PROCEDURE galera_lease.protect_table(IN schema_name TEXT, IN table_name TEXT, IN lease_name TEXT)
    MODIFIES SQL DATA
    SQL SECURITY INVOKER
    COMMENT 'only writers of this lease may write to this table, guarded by their epoch'
BEGIN
    DECLARE quoted TEXT DEFAULT CONCAT('`', REPLACE(schema_name, '`', '``'), '`.`', REPLACE(table_name, '`', '``'), '`');
    DECLARE quoted_schema TEXT DEFAULT CONCAT('`', REPLACE(schema_name, '`', '``'), '`');
    DECLARE mark CHAR(32) DEFAULT MD5(UUID());
    DECLARE mistake, found_engine TEXT DEFAULT NULL;

    SET found_engine = (SELECT t.engine FROM information_schema.tables t
                        WHERE t.table_schema = schema_name AND t.table_name = table_name AND t.table_type = 'BASE TABLE');
    SET mistake = CASE
        WHEN found_engine IS NULL THEN 'there is no such table; give schema, table and lease'
        WHEN found_engine <> 'InnoDB' THEN CONCAT('the table is ', found_engine, ': only InnoDB can be guarded')
        -- Measured: such a node meets the trigger when it applies the write, is refused, and leaves the cluster.
        WHEN @@GLOBAL.slave_run_triggers_for_rbr <> 'NO'
            THEN 'slave_run_triggers_for_rbr is not NO on this node, which would throw it out of the cluster: set it to NO on every node'
        WHEN @@SESSION.wsrep_OSU_method <> 'TOI'
            THEN 'wsrep_OSU_method is not TOI here, so only this node would protect the table: SET SESSION wsrep_OSU_method = ''TOI'' first'
        WHEN schema_name = 'galera_lease' THEN 'the tables of galera_lease itself must stay as they are'
        WHEN NOT EXISTS (SELECT 1 FROM galera_lease.lease l WHERE l.name = COALESCE(lease_name, ''))
            THEN 'there is no such lease; SELECT lease FROM galera_lease.leader lists them'
        WHEN NOT EXISTS (SELECT 1 FROM galera_lease.writer w WHERE w.lease = lease_name)
            THEN 'no account may write for this lease yet, so nobody could write: CALL galera_lease.allow_writer first'
        END;
    IF mistake IS NOT NULL THEN
        SET mistake = CONCAT('galera_lease.protect_table: ', mistake);
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = mistake;
    END IF;
    EXECUTE IMMEDIATE CONCAT('GRANT TRIGGER ON ', quoted, ' TO galera_lease_owner@localhost');
    FOR e IN (SELECT 'insert' AS event UNION SELECT 'update' UNION SELECT 'delete') DO
        EXECUTE IMMEDIATE CONCAT('CREATE DEFINER = galera_lease_owner@localhost TRIGGER ', quoted_schema, '.`galera_lease_', e.event, '_', mark,
            '` BEFORE ', e.event, ' ON ', quoted, ' FOR EACH ROW CALL galera_lease.guard_writer(''', lease_name, ''')');
    END FOR;
    -- Only then those before it, whatever the table was called when they were made: there is no moment without.
    FOR t IN (SELECT g.trigger_name AS name FROM information_schema.triggers g WHERE g.event_object_schema = schema_name
              AND g.event_object_table = table_name AND g.trigger_name LIKE 'galera\\_lease\\_%' AND g.trigger_name NOT LIKE CONCAT('%', mark)) DO
        EXECUTE IMMEDIATE CONCAT('DROP TRIGGER ', quoted_schema, '.`', t.name, '`');
    END FOR;
END$$

CREATE OR REPLACE DEFINER = galera_lease_owner@localhost PROCEDURE galera_lease.unprotect_table(IN schema_name TEXT, IN table_name TEXT)
    MODIFIES SQL DATA
    SQL SECURITY INVOKER
    COMMENT 'the end of protect_table'
BEGIN
    DECLARE quoted_schema TEXT DEFAULT CONCAT('`', REPLACE(schema_name, '`', '``'), '`');
    DECLARE mistake TEXT DEFAULT CASE
        WHEN NOT EXISTS (SELECT 1 FROM information_schema.triggers t WHERE t.event_object_schema = schema_name
                         AND t.event_object_table = table_name AND t.trigger_name LIKE 'galera\\_lease\\_%')
            THEN 'this table is not protected; give schema and table'
        WHEN @@SESSION.wsrep_OSU_method <> 'TOI'
            THEN 'wsrep_OSU_method is not TOI here, so only this node would hear of it: SET SESSION wsrep_OSU_method = ''TOI'' first'
        END;
    DECLARE CONTINUE HANDLER FOR 1141, 1147 BEGIN END; -- the right to the triggers stayed with an earlier name of the table

    IF mistake IS NOT NULL THEN
        SET mistake = CONCAT('galera_lease.unprotect_table: ', mistake);
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = mistake;
    END IF;
    FOR t IN (SELECT g.trigger_name AS name FROM information_schema.triggers g WHERE g.event_object_schema = schema_name
              AND g.event_object_table = table_name AND g.trigger_name LIKE 'galera\\_lease\\_%') DO
        EXECUTE IMMEDIATE CONCAT('DROP TRIGGER ', quoted_schema, '.`', t.name, '`');
    END FOR;
    EXECUTE IMMEDIATE CONCAT('REVOKE TRIGGER ON ', quoted_schema, '.`', REPLACE(table_name, '`', '``'), '` FROM galera_lease_owner@localhost');
END$$

DELIMITER ;
