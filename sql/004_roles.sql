-- galera-lease, schema version 1, part 4: roles, each with no more than it needs. None has anything on epoch and guard:
-- they are written by the triggers and procedures, which have their owner's rights.
CREATE ROLE IF NOT EXISTS galera_lease_reader;
CREATE ROLE IF NOT EXISTS galera_lease_operator;
CREATE ROLE IF NOT EXISTS galera_lease_sidecar;
CREATE ROLE IF NOT EXISTS galera_lease_controller;

-- Looks, and changes nothing.
GRANT SELECT ON galera_lease.lease_and_epoch TO galera_lease_reader;
GRANT SELECT ON galera_lease.lease TO galera_lease_reader;
GRANT SELECT ON galera_lease.member TO galera_lease_reader;
GRANT SELECT ON galera_lease.request TO galera_lease_reader;
GRANT SELECT ON galera_lease.event TO galera_lease_reader;
GRANT SELECT ON galera_lease.writer TO galera_lease_reader;
GRANT SELECT ON galera_lease.schema_version TO galera_lease_reader;
GRANT SELECT ON galera_lease.controllers TO galera_lease_reader;
GRANT SELECT ON galera_lease.leader TO galera_lease_reader;
GRANT SELECT ON galera_lease.requests TO galera_lease_reader;
GRANT SELECT ON galera_lease.history TO galera_lease_reader;
GRANT SELECT ON galera_lease.alarms TO galera_lease_reader;
GRANT EXECUTE ON FUNCTION galera_lease.file_drift TO galera_lease_reader;

-- Asks; the leader acts.
GRANT galera_lease_reader TO galera_lease_operator;
GRANT EXECUTE ON PROCEDURE galera_lease.step_down TO galera_lease_operator;
GRANT EXECUTE ON PROCEDURE galera_lease.switchover TO galera_lease_operator;
GRANT EXECUTE ON PROCEDURE galera_lease.hold TO galera_lease_operator;
GRANT EXECUTE ON PROCEDURE galera_lease.unhold TO galera_lease_operator;
GRANT EXECUTE ON PROCEDURE galera_lease.alarm_ack TO galera_lease_operator;
GRANT EXECUTE ON PROCEDURE galera_lease.release_stopped TO galera_lease_operator;
GRANT EXECUTE ON PROCEDURE galera_lease.request_outcome TO galera_lease_operator;

-- Competes for rows that exist; it can neither make nor remove a lease, nor write the epoch table except by winning.
GRANT galera_lease_operator TO galera_lease_sidecar;
GRANT UPDATE (epoch, counter, nonce, holder, ttl_ms, state, target, hold_until, hold_reason, acquired_at, renewed_at)
    ON galera_lease.lease TO galera_lease_sidecar;
GRANT INSERT, UPDATE ON galera_lease.member TO galera_lease_sidecar;
GRANT UPDATE (claimed_by, claimed_at, outcome, finished_at) ON galera_lease.request TO galera_lease_sidecar;
GRANT INSERT, DELETE ON galera_lease.event TO galera_lease_sidecar;

-- For the account of a controller that guards its transactions. A writer to protected tables needs no role.
GRANT EXECUTE ON PROCEDURE galera_lease.guard TO galera_lease_controller;

INSERT IGNORE INTO galera_lease.schema_version (version, applied_at) VALUES (1, UTC_TIMESTAMP(3));
