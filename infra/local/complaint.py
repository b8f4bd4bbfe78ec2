"""What goes wrong, told in one voice: `scout: ...` in red on standard error, word for word."""

from rich.console import Console


def complain(message: str) -> None:
    console = Console(stderr=True, soft_wrap=True, emoji=False)
    console.print(f"scout: {message}", style="red", highlight=False, markup=False)
