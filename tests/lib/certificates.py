"""Throw-away certificates, made with the openssl command: an authority, and what it signs."""
import subprocess


def openssl(*args):
    subprocess.run(["openssl", *map(str, args)], check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


class Authority:
    def __init__(self, folder, name="ca"):
        self.folder = folder
        folder.mkdir(mode=0o755, exist_ok=True)
        self.key = folder / f"{name}.key"
        self.certificate = folder / f"{name}.pem"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", 2,
                "-keyout", self.key, "-out", self.certificate, "-subj", f"/CN=galera-lease test {name}")

    def issue(self, certificate, key, subject, address=None, days=1):
        """Writes both files. With days < 0 the certificate ended before today."""
        request = self.folder / "request"
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key,
                "-out", request, "-subj", f"/CN={subject}")
        extensions = self.folder / "extensions"
        extensions.write_text(f"subjectAltName=IP:{address}\n" if address else "basicConstraints=CA:FALSE\n")
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial", "-days", days,
                "-extfile", extensions, "-out", certificate)
