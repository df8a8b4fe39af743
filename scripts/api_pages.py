"""Pages of the API reference, made of docstrings when mkdocs builds the site (`hooks` in mkdocs.yml).

Sources are parsed, not imported: the site builds without the extension module and without frameworks.
"""

import ast
import pathlib
import re

from mkdocs.structure.files import File

PACKAGE = pathlib.Path(__file__).resolve().parents[1] / "python" / "negpipe"

# Page: (title, sources). A source is a file and the names that are shown, or None for all public ones.
PAGES = {
    "negpipe": ("negpipe", [("dataset.py", ["Dataset"]), ("train_loader.py", ["TrainLoader"]),
                            ("eval_loader.py", ["EvalLoader"]), ("loader.py", ["Loader", "EpochIterator"]),
                            ("negatives.py", ["NegativeSampler"]), ("shards.py", ["Shards"])]),
    "torch": ("negpipe.torch", [("torch.py", None)]),
    "jax": ("negpipe.jax", [("jax.py", None)]),
    "metrics": ("negpipe.metrics", [("metrics.py", None)]),
    "tf": ("negpipe.tf", [("tf.py", None)]),
    "records": ("negpipe.records", [("records.py", None)]),
    "spark": ("negpipe.spark", [("spark.py", None)]),
    "errors": ("negpipe.errors", [("errors.py", None)]),
}
# "name: what it is", also several names and aligned; the next lines of the entry are indented.
ENTRY = re.compile(r"^(\w+(?:, \w+)*):\s+(\S.*)$")


def paragraph(lines):
    """Markdown of a docstring's paragraph: lists of parameters become lists."""
    if not ENTRY.match(lines[0]):
        return "\n".join(lines)
    entries = []
    for line in lines:
        entry = ENTRY.match(line)
        if entry:
            names = ", ".join(f"`{name}`" for name in entry[1].split(", "))
            entries.append(f"- {names}: {entry[2]}")
        elif line.startswith(" "):
            entries[-1] += " " + line.strip()
        else:
            entries.append(line)
    return "\n".join(entries)


def markdown(docstring):
    """Keeps indented blocks, which Markdown shows as code."""
    blocks = re.split(r"\n\s*\n", docstring or "")
    return "\n\n".join(block if block.startswith("    ") else paragraph(block.split("\n")) for block in blocks)


def is_public(node):
    return isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith("_")


def decorators(node):
    return {ast.unparse(decorator) for decorator in node.decorator_list}


def signature(node, name):
    if "property" in decorators(node):
        return name + (f" -> {ast.unparse(node.returns)}" if node.returns else "")
    arguments = re.split(r", (?![^\[(]*[\])])", ast.unparse(node.args))
    arguments = [argument for argument in arguments if argument not in ("self", "cls")]
    line = f"{name}({', '.join(arguments)})" + (f" -> {ast.unparse(node.returns)}" if node.returns else "")
    if len(line) <= 100:
        return line
    return f"{name}(\n    " + ",\n    ".join(arguments) + ",\n)" + line.rpartition(")")[2]


def function(node, prefix, level):
    text = markdown(ast.get_docstring(node))
    return [f"{'#' * level} {prefix}{node.name}", f"```python\n{signature(node, prefix + node.name)}\n```", text]


def class_pages(node, classes):
    """classes: those of the module by name. Members of private bases count as the class's own."""
    bases = [ast.unparse(base) for base in node.bases]
    public = ", ".join(f"`{base}`" for base in bases if not base.startswith("_"))
    parts = [f"## {node.name}", f"Derives from {public}." if public else "", markdown(ast.get_docstring(node))]
    inherited = [member for base in bases if base in classes and base.startswith("_") for member in classes[base].body
                 if getattr(member, "name", "") not in ("__init__", *(getattr(own, "name", "") for own in node.body))]
    for member in [*node.body, *inherited]:
        is_constructor = isinstance(member, ast.FunctionDef) and member.name == "__init__"
        if is_constructor and not (ast.get_docstring(member) or "").startswith("Internal"):
            parts.insert(1, f"```python\n{signature(member, node.name)}\n```")
            parts.append(markdown(ast.get_docstring(member)))
        elif is_public(member) and isinstance(member, ast.FunctionDef) and ast.get_docstring(member):
            parts += function(member, f"{node.name}.", 3)
    return parts


def page(title, sources):
    parts = [f"# {title}"]
    for name, shown in sources:
        if not (PACKAGE / name).exists():
            continue
        module = ast.parse((PACKAGE / name).read_text())
        if shown is None:
            parts.append(markdown(ast.get_docstring(module)))
        classes = {node.name: node for node in module.body if isinstance(node, ast.ClassDef)}
        for node in module.body:
            if is_public(node) and (shown is None or node.name in shown):
                parts += class_pages(node, classes) if isinstance(node, ast.ClassDef) else function(node, "", 2)
    return "\n\n".join(part for part in parts if part) + "\n"


def on_files(files, config):
    for name, (title, sources) in PAGES.items():
        files.append(File.generated(config, f"api/{name}.md", content=page(title, sources)))
    return files
