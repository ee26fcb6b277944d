#!/usr/bin/env bash
# ExifTool 12.57 (Debian's libimage-exiftool-perl 12.57+dfsg-1): `-z` rewrites a simple XMP element as an attribute in
# single quotes and does not escape apostrophes in its text, so the packet is no longer well-formed XML. Without `-z`
# the element stays an element and the packet stays well-formed. Adding a caption to a picture is enough.
#
# Seen 2026-11-27:
#   element      <t:note>it's one</t:note>                 well-formed
#   with -z      t:note='it's one'                         not well-formed
#
# Needs: a Debian 12 with apt, perl, python3. Installs nothing outside a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download libimage-exiftool-perl=12.57+dfsg-1 2>/dev/null >&2
dpkg -x libimage-exiftool-perl_*.deb tool
export PERL5LIB="$folder/tool/usr/share/perl5"
exiftool=tool/usr/bin/exiftool
[ "$("$exiftool" -ver)" = 12.57 ]

python3 - <<'PY'
import struct, zlib

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

packet = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:t="https://example.org/t/"><t:note>it\'s one</t:note></rdf:Description>'
    "</rdf:RDF></x:xmpmeta>"
)
parts = [
    chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)),
    chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet.encode()),
    chunk(b"IDAT", zlib.compress(bytes(4))),
    chunk(b"IEND", b""),
]
with open("a.png", "wb") as file:
    file.write(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
PY

caption() { # caption OUTPUT [OPTION]: add a caption and print the picture's XMP packet
    cp a.png "$1.png"
    "$exiftool" -q -q -overwrite_original ${2:+"$2"} -XMP-dc:Title=caption "$1.png"
    "$exiftool" -b -XMP "$1.png" >"$1.xml"
}
well_formed() { python3 -c 'import sys, xml.etree.ElementTree as e; e.parse(sys.argv[1])' "$1" 2>/dev/null; }

caption plain
caption compact -z
grep -o '<t:note>.*</t:note>' plain.xml
grep -o 't:note=.*' compact.xml
well_formed plain.xml || { echo 'changed: the plain packet is not well-formed'; exit 1; }
grep -q "t:note='it's one'" compact.xml || { echo 'changed: the apostrophe is written otherwise'; exit 1; }
if well_formed compact.xml; then echo 'changed: the compact packet is well-formed'; exit 1; fi
echo 'as seen: with -z the packet is not well-formed'
