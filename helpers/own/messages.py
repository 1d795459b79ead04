"""Messages of Python functions in the words of the command line."""

import re

# What messages call an argument of Python -> the option that it is on the command line.
_ARGUMENTS = (
    "aggregate composition_unit crop_bottom dtype encoder image_column normalize on_error "
    "pipeline pooling sample_column sheet value_range workers"
)
OPTIONS = {name: f"--{name.replace('_', '-')}" for name in _ARGUMENTS.split()}
OPTIONS |= {"group_column": "--groups", "target_um": "--pixel-size-um", "kind": "--model"}
PLAIN = str.maketrans("", "", "(),'")  # leaves of a value what is typed


def in_options(message):
    """The message with arguments of Python, ``name=value`` or ``name is value``, as options."""
    value = r"'[^']*'|\([^)]*\)|[\w.]+"
    # Not inside quotes and paths, which hold the user's own names.
    pattern = rf"(?<![\w'/\\.-])({'|'.join(OPTIONS)})(?:=({value})|(?= is ['\d(-]))"

    def written(match):
        name, value = match.groups()
        return f"{OPTIONS[name]} {value.translate(PLAIN)}" if value else OPTIONS[name]

    return re.sub(pattern, written, message)
