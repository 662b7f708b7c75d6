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

-- For controllers, inside their transaction: CALL galera_lease.guard('cmon', 42). The transaction commits only while 42
-- is the epoch of that lease: otherwise 1452 at once, or 1213 at the latest at its commit.
CREATE OR REPLACE DEFINER = galera_lease_owner@localhost PROCEDURE galera_lease.guard(IN lease_name VARCHAR(63) CHARACTER SET ascii COLLATE ascii_bin, IN lease_epoch BIGINT UNSIGNED)
    MODIFIES SQL DATA
    SQL SECURITY DEFINER
    COMMENT 'this transaction may commit only while the lease has this epoch'
BEGIN
    DECLARE guard_id BINARY(16) DEFAULT RANDOM_BYTES(16);
    -- With autocommit off the INSERT below begins the transaction, as any first statement does.
    IF @@in_transaction = 0 AND @@autocommit = 1 THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'galera_lease.guard: not inside a transaction, so it would guard nothing';
    END IF;
    IF @@foreign_key_checks = 0 THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'galera_lease.guard: foreign_key_checks is 0, so it would guard nothing';
    END IF;
    IF @@wsrep_on = 0 THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'galera_lease.guard: wsrep_on is 0, so it would guard nothing';
    END IF;
    IF lease_name IS NULL OR lease_epoch IS NULL THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'galera_lease.guard: the lease name and the epoch must not be NULL';
    END IF;
    -- A guarded transaction that idles must not block a takeover for ever.
    IF @@idle_write_transaction_timeout NOT BETWEEN 1 AND 5 THEN
        SET SESSION idle_write_transaction_timeout = 5;
    END IF;
    INSERT INTO galera_lease.guard (id, name, epoch) VALUES (guard_id, lease_name, lease_epoch);
    DELETE FROM galera_lease.guard WHERE id = guard_id;
END$$

DELIMITER ;
