"""Who may come in: decisions about addresses, passwords, tokens and links. Pure."""

from .addresses import Addresses, AddressRule
from .token_keys import ALGORITHMS, LARGEST_KEY_SET, KeySet, KeySetError, TokenKey, parse_keys
from .tokens import LONGEST_TOKEN, GoodToken, RefusedToken, TokenFault, TokenRules, check_token
from .verdict import GRANTED, Granted, Refused, Verdict, together

__all__ = [
    "ALGORITHMS",
    "GRANTED",
    "LARGEST_KEY_SET",
    "LONGEST_TOKEN",
    "AddressRule",
    "Addresses",
    "GoodToken",
    "Granted",
    "KeySet",
    "KeySetError",
    "Refused",
    "RefusedToken",
    "TokenFault",
    "TokenKey",
    "TokenRules",
    "Verdict",
    "check_token",
    "parse_keys",
    "together",
]
