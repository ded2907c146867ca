#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
#
# abi_doc.py: docs/abi.md and ivshmem/abi.h say the same. Prints TAP.
#
# Tables whose head begins with "offset | size | field" describe the structure named in the heading above them,
# and those that begin with "constant | value" constants and macro calls. Each figure becomes a comparison in a C
# program that includes the header; then every field and constant of the header must be in the document.
import os
import re
import subprocess
import sys
import tempfile

# Not part of the contract: the include guard and what the assertions are made of.
INTERNAL = re.compile(r"IST_ABI_(H|ASSERT|OFFSET|SIZE|CAT_?)$")


def cells(line):
    line = re.sub(r"\\\|", "\0", line.strip().strip("|"))
    return [cell.strip().strip("`") for cell in line.split("|")]


def read_document(path):
    """Structures {name: (size, {field: (offset, size, line)})} and constants {text: (value, line)}."""
    structs, constants = {}, {}
    name = table = None
    for number, line in enumerate(open(path), 1):
        heading = re.match(r"#+ (?:struct (\w+))?", line)
        size = re.match(r"(\d+) bytes", line)
        if heading:
            name, table = heading.group(1), None
            if name:
                structs[name] = [None, {}, number]
        elif size and name and structs[name][0] is None:
            structs[name][0] = int(size.group(1))
        elif not line.startswith("|"):
            table = None
        elif table is None:
            table = tuple(cells(line)[:3])
        elif set(line.strip()) <= set("|- "):
            pass
        elif table == ("offset", "size", "field") and name:
            offset, size, field = cells(line)[:3]
            structs[name][1][field] = (int(offset, 0), int(size, 0), number)
        elif table[:2] == ("constant", "value"):
            constant, value = cells(line)[:2]
            constants[constant] = (int(value, 0), number)
    return structs, constants


def read_header(path):
    text = open(path).read()
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    constants = [c for c in re.findall(r"^#define\s+(\w+)", text, flags=re.M) if not INTERNAL.match(c)]
    structs = {}
    for name, body in re.findall(r"^struct (\w+) \{(.*?)^\};", text, flags=re.S | re.M):
        structs[name] = []
        for declaration in filter(None, (d.strip() for d in body.split(";"))):
            first = re.match(r"(?:struct\s+)?\w+\s+", declaration)
            for field in declaration[first.end() :].split(","):
                structs[name].append(re.match(r"\w+", field.strip()).group())
    return structs, constants


def program(structs, constants):
    out = ["#include <isthmus/abi.h>", "#include <stdio.h>", "static int bad;"]
    out.append("static void check(int line, const char *what, unsigned long long document, unsigned long long header)")
    out.append("{ if (document != header) { bad = 1;")
    out.append('  printf("line %d: %s is %llu (0x%llx) there, %llu (0x%llx) in abi.h\\n",')
    out.append("         line, what, document, document, header, header); } }")
    out.append("int main(void) {")
    for name, (size, fields, number) in structs.items():
        if size is not None:
            out.append(f'check({number}, "struct {name}", {size}ull, sizeof(struct {name}));')
        for field, (offset, length, line) in fields.items():
            place = f"struct {name}, {field}"
            out.append(f'check({line}, "offset of {place}", {offset}ull, offsetof(struct {name}, {field}));')
            out.append(f'check({line}, "size of {place}", {length}ull, sizeof(((struct {name} *)0)->{field}));')
    for constant, (value, line) in constants.items():
        out.append(f'check({line}, "{constant}", {value}ull, (unsigned long long)({constant}));')
    out.append("return bad; }")
    return "\n".join(out)


def compare(structs, constants, include):
    """The differences the compiled header finds."""
    with tempfile.TemporaryDirectory() as work:
        source, binary = os.path.join(work, "figures.c"), os.path.join(work, "figures")
        with open(source, "w") as file:
            file.write(program(structs, constants))
        build = subprocess.run(
            [os.environ.get("CC", "cc"), "-std=gnu11", "-I" + include, "-o", binary, source], capture_output=True, text=True
        )
        if build.returncode:
            return ["something there is not in abi.h:"] + build.stderr.splitlines()
        return subprocess.run([binary], capture_output=True, text=True).stdout.splitlines()


def missing(structs, constants, header_structs, header_constants):
    for name, fields in header_structs.items():
        if name not in structs:
            yield f"struct {name} is missing"
        elif structs[name][0] is None:
            yield f"struct {name}: the line 'N bytes' is missing"
        for field in fields:
            if name in structs and field not in structs[name][1]:
                yield f"struct {name}: {field} is missing"
    documented = {re.match(r"\w+", constant).group() for constant in constants}
    for constant in header_constants:
        if constant not in documented:
            yield f"{constant} is missing"


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    document = sys.argv[1] if len(sys.argv) > 1 else os.path.join(root, "docs", "abi.md")
    header = os.path.join(root, "ivshmem", "abi.h")
    structs, constants = read_document(document)
    header_structs, header_constants = read_header(header)
    with tempfile.TemporaryDirectory() as include:
        os.mkdir(os.path.join(include, "isthmus"))
        os.symlink(header, os.path.join(include, "isthmus", "abi.h"))
        wrong = compare(structs, constants, include)
    absent = list(missing(structs, constants, header_structs, header_constants))
    figures = len(constants) + sum(1 + 2 * len(fields) for _, fields, _ in structs.values())
    members = len(header_constants) + sum(len(fields) for fields in header_structs.values())
    # A parser that finds nothing would agree with anything.
    read = figures > 200 and members > 200
    tests = [
        (read, f"both are understood: {figures} figures there, {members} names in abi.h", []),
        (not wrong, "the figures of docs/abi.md are those of abi.h", wrong),
        (not absent, "all of abi.h is in docs/abi.md", absent),
    ]
    for number, (good, name, notes) in enumerate(tests, 1):
        print("\n".join(["# " + note for note in notes] + [f"{'' if good else 'not '}ok {number} - {name}"]))
    print(f"1..{len(tests)}")
    return 0 if all(good for good, _, _ in tests) else 1


sys.exit(main())
