"""The database's own order of commits: the binary logs of all nodes, merged by the sequence number that Galera gave.

Neither auto_increment nor a clock is an order across nodes. A row that every transaction updates would be one, and would hide what
is looked for: the conflict on it would stop a stale transaction, guard or not. In the binary log a transaction's Xid is its place
in the cluster's total order, the same on every node (so a node that was away leaves no gap), and what is written there took no part
in certification.
"""
import re
import subprocess

EVENT = re.compile(r"^#\d{6} .*\t(?:Xid = (\d+)|GTID )")
TABLE = re.compile(r"^### (INSERT INTO|UPDATE|DELETE FROM) `(\w+)`\.`(\w+)`")
VALUE = re.compile(r"^###   @(\d+)=('(?:[^']*)'|-?\d+)")


class Order:
    """For one lease: at which place which epoch began, and which rows of chaos.job were committed where."""

    def __init__(self, lease):
        self.lease = lease
        self.places = {}  # place -> (("epoch", n) | ("job", key), …)
        self.jobs = {}  # key -> place
        self.diverged = []
        self.done = set()

    def harvest(self, node, running):
        """Reads what is new of this node's logs; of a node that runs, those that are closed."""
        if running:
            node.insist("FLUSH LOCAL BINARY LOGS")
        files = sorted(node.binlog.glob("b.[0-9]*"))
        for file in files[:-1] if running else files:
            stat = file.stat()
            mark = (file, stat.st_ino, stat.st_size, stat.st_mtime_ns)
            if mark not in self.done:
                self.done.add(mark)
                self._read(file)

    def _read(self, file):
        program = subprocess.Popen(["mariadb-binlog", "--no-defaults", "--base64-output=decode-rows", "-v", str(file)],
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace")
        self.read_lines(program.stdout, file)
        program.wait()

    def read_lines(self, lines, origin):
        found, table, row, verb = [], None, {}, None

        def end_of_row():
            fact = self._fact(verb, table, row)
            if fact:
                found.append(fact)
            row.clear()
        for line in lines:
            if line.startswith("### "):
                if begins := TABLE.match(line):
                    end_of_row()
                    verb, table = begins.group(1), f"{begins.group(2)}.{begins.group(3)}"
                elif value := VALUE.match(line):
                    row[int(value.group(1))] = value.group(2).strip("'")  # of an update the later image stays
            elif event := EVENT.match(line):
                end_of_row()
                if event.group(1):
                    self._commit(int(event.group(1)), tuple(found), origin)
                found, table = [], None

    def _fact(self, verb, table, row):
        if table == "galera_lease.epoch" and verb != "DELETE FROM" and row.get(1) == self.lease:
            return ("epoch", int(row[2]))
        if table == "chaos.job" and verb == "INSERT INTO" and row.get(1) == self.lease:
            return ("job", tuple(int(row[i]) for i in (2, 3, 4, 5)))
        return None

    def _commit(self, place, facts, origin):
        known = self.places.setdefault(place, facts)
        if known != facts:
            self.diverged.append(f"{origin}: place {place} holds {facts}, in another log {known}")
        for what, key in facts:
            if what == "job":
                self.jobs[key] = place

    def stale(self):
        """Rows that stand behind the beginning of a later epoch (S3): (key, place, that epoch, its place)."""
        highest, begun, found = 0, 0, []
        for place in sorted(self.places):
            for what, value in self.places[place]:
                if what == "epoch" and value > highest:
                    highest, begun = value, place
                elif what == "job" and value[0] < highest:
                    found.append((value, place, highest, begun))
        return found
