"""Who may come in: decisions about addresses, passwords, tokens and links. Pure."""

__all__: list[str] = []
