"""Messages of Python functions in the words of the command line."""

import re
import shlex

# What messages call an argument of Python -> the option that it is on the command line.
_ARGUMENTS = (
    "aggregate composition_unit crop_bottom dtype encoder image_column normalize on_error "
    "pipeline pooling sample_column sheet stated_um value_range workers"
)
OPTIONS = {name: f"--{name.replace('_', '-')}" for name in _ARGUMENTS.split()}
OPTIONS |= {"group_column": "--groups", "target_um": "--pixel-size-um"}
OPTIONS |= {"properties": "--property", "kind": "--model"}
PLAIN = str.maketrans("", "", "(),'")  # leaves of a value what is typed


def in_options(message):
    """The message with arguments of Python, ``name=value`` or ``name is value``, as options."""
    value = r"'[^']*'|\([^)]*\)|[\w.]+"
    # Not inside quotes and paths, which hold the user's own names.
    pattern = (
        rf"(?<![\w'/\\.-])({'|'.join(OPTIONS)})(?:=({value})|(?= is (?:['\d([-]|None|nan|inf)))"
    )

    def written(match):
        name, value = match.groups()
        if value and value.startswith("'"):  # a heading may hold spaces
            return f"{OPTIONS[name]} {shlex.quote(value[1:-1])}"
        return f"{OPTIONS[name]} {value.translate(PLAIN)}" if value else OPTIONS[name]

    return re.sub(pattern, written, message)
