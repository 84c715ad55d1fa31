#!/usr/bin/env python3
"""Writes what Terraform's providers say of the resources that our modules use.

    npm pack @cdktf/provider-aws@21.22.1     (and google, google-beta 16.12.1)
    extract.py aws.tgz hashicorp/aws 6.25.0 aws ../aws > aws.json

The packages (MPL-2.0) are generated from the providers' schemas: their doc comments name
every attribute and block. Only names, and what must, may and cannot be set, are kept.
"""
import json
import pathlib
import re
import sys
import tarfile

PROP = re.compile(r"/\*\*(?P<doc>(?:(?!\*/).)*)\*/\s+readonly \w+(?P<opt>\??): (?P<type>[^;]+);", re.S)
LINK = re.compile(r"/docs/\S+#(\w+) ")
FACE = re.compile(r"export interface (\w+)[^{]*\{\n(.*?)\n\}", re.S)
GET = re.compile(r"^    get (\w+)\(\)", re.M)


def snake(name):
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def body(faces, name):
    """What an interface, a block, may hold."""
    out = {"attributes": {}, "blocks": {}}
    for m in PROP.finditer(faces.get(name, "")):
        kind = re.sub(r"(\[\])?( \| cdktf\.IResolvable)?$", "", m["type"]).strip()
        link, required = LINK.search(m["doc"]), not m["opt"]
        if link and kind in faces and f"* {link[1]} block" in m["doc"]:
            out["blocks"][link[1]] = {"required": required, **body(faces, kind)}
        elif link:
            out["attributes"][link[1]] = required
    return out


def resource(text):
    faces = dict(FACE.findall(text))
    main = next(n for n in faces if n.endswith("Config") and "TerraformMetaArguments" in text.split(f"export interface {n}")[1][:80])
    out = body(faces, main)
    klass = text[text.rindex("export declare class"):]
    computed = {snake(g) for g in GET.findall(klass)} - set(out["attributes"]) - set(out["blocks"])
    out["computed"] = sorted(c for c in computed if not c.endswith("_input"))
    return out


def main():
    tgz, provider, version, prefix, module = sys.argv[1:]
    wanted = set()
    for path in pathlib.Path(module).glob("*.tf"):
        wanted |= set(re.findall(r'^(resource|data) "(\w+)"', path.read_text(), re.M))
    out = {"provider": provider, "version": version, "origin": pathlib.Path(tgz).name, "resource": {}, "data": {}}
    with tarfile.open(tgz) as tar:
        for kind, name in sorted(wanted):
            folder = name.removeprefix(prefix + "_").replace("_", "-")
            for guess in ([folder, name.replace("_", "-")] if kind == "resource" else [f"data-{prefix}-{folder}"]):
                try:
                    text = tar.extractfile(f"package/lib/{guess}/index.d.ts").read().decode()
                except KeyError:
                    continue
                out[kind][name] = resource(text)
    json.dump(out, sys.stdout, indent=1, sort_keys=True)
    print()


main()
