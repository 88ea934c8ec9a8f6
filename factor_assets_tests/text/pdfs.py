"""PDFs written by hand (PDF 32000-1:2008): plain, encrypted (RC4, 7.6), and with a picture instead of text."""

from collections.abc import Sequence
from hashlib import md5

_PAD = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")
_ID = b"0123456789abcdef"
_PERMISSIONS = -4


def text_pdf(pages: Sequence[str], *, password: str | None = None) -> bytes:
    """Return a PDF with a page a text, one line a line.

    Parameters
    ----------
    password
        Of the user: "" encrypts so that every reader opens it; None does not encrypt.
    """
    contents = []
    for page in pages:
        lines = [line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)") for line in page.split("\n")]
        shown = "".join(f"({line}) Tj T*\n" for line in lines)
        contents.append(f"BT /F1 9 Tf 11 TL 20 1180 Td\n{shown}ET".encode("latin-1"))
    return _document(
        contents, "/Font << /F1 3 0 R >>", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>", password
    )


def picture_pdf(pages: int = 1) -> bytes:
    """Return a PDF whose pages are one grey picture each, as of a scanner."""
    picture = (
        b"<< /Type /XObject /Subtype /Image /Width 2 /Height 2 /ColorSpace /DeviceGray /BitsPerComponent 8 /Length 4 >>"
        b"\nstream\n\x00\x40\x80\xff\nendstream"
    )
    return _document([b"q 800 0 0 1200 0 0 cm /F1 Do Q"] * pages, "/XObject << /F1 3 0 R >>", picture, None)


def _document(contents: Sequence[bytes], resources: str, shared: bytes, password: str | None) -> bytes:
    numbers = range(4, 4 + 2 * len(contents), 2)
    kids = " ".join(f"{number} 0 R" for number in numbers)
    objects = {
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: f"<< /Type /Pages /Count {len(contents)} /Kids [ {kids} ] >>".encode(),
        3: shared,
    }
    owner = _rc4(md5(_padded("owner")).digest()[:5], _padded(password or ""))
    key = md5(_padded(password or "") + owner + _PERMISSIONS.to_bytes(4, "little", signed=True) + _ID).digest()[:5]
    for number, content in zip(numbers, contents, strict=True):
        objects[number] = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 800 1200] /Resources << {resources} >>"
            f" /Contents {number + 1} 0 R >>"
        ).encode()
        stored = content
        if password is not None:
            stored = _rc4(md5(key + (number + 1).to_bytes(3, "little") + b"\0\0").digest()[:10], content)
        objects[number + 1] = b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stored), stored)
    trailer = f"/Size {len(objects) + 1} /Root 1 0 R /ID [<{_ID.hex()}> <{_ID.hex()}>]"
    if password is not None:
        user = _rc4(key, _PAD)
        trailer += f" /Encrypt << /Filter /Standard /V 1 /R 2 /P {_PERMISSIONS} /O <{owner.hex()}> /U <{user.hex()}> >>"
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, body in sorted(objects.items()):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, table)
    return bytes(out + f"trailer\n<< {trailer} >>\nstartxref\n{start}\n%%EOF\n".encode())


def _padded(password: str) -> bytes:
    return (password.encode() + _PAD)[:32]


def _rc4(key: bytes, content: bytes) -> bytes:
    state = list(range(256))
    j = 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    out, i, j = bytearray(), 0, 0
    for byte in content:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)


REPORT = (
    "Dear shareholders,\n"
    "As chief executive officer I am happy with an excellent year. Our strategy works great.\n"
    "Our strategic priorities are growth and innovation. We plan to invest in research and development.\n"
    "RISK FACTORS\n"
    "Risks and uncertainties could harm us badly. Litigation is a terrible exposure.\n"
    "MARKET AND COMPETITION\n"
    "Competition is fierce and competitors cut prices, yet our market share grew and demand is strong.\n"
    "SUSTAINABILITY REPORT\n"
    "Carbon emissions fell thanks to renewable energy. Environmental governance and diversity improved.\n"
)
"""A page that speaks of every topic."""
