"""Who may come in: decisions about addresses, passwords, tokens and links. Pure."""

from .addresses import Addresses, AddressRule
from .verdict import GRANTED, Granted, Refused, Verdict, together

__all__ = ["GRANTED", "AddressRule", "Addresses", "Granted", "Refused", "Verdict", "together"]
