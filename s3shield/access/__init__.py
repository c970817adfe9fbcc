"""Who may come in, and how much of it: addresses, passwords, tokens, links, rates. Pure."""

from .addresses import Addresses, AddressRule
from .cors import Cors, OriginRule
from .leaky import REFUSED, Bucket, Leak, pour
from .links import LINK_NAMES, HashedLink, LinkTerms, sign_link, signed_link_verdict
from .pace import Pace
from .passwords import Credential, Users, challenge, credential_of, parse_users
from .token_keys import ALGORITHMS, LARGEST_KEY_SET, KeySet, KeySetError, TokenKey, parse_keys
from .token_places import TokenPlace, find_token, kept_from_others
from .tokens import LONGEST_TOKEN, GoodToken, RefusedToken, TokenFault, TokenRules, check_token
from .verdict import GRANTED, Granted, Refused, Verdict, together

__all__ = [
    "ALGORITHMS",
    "GRANTED",
    "LARGEST_KEY_SET",
    "LINK_NAMES",
    "LONGEST_TOKEN",
    "REFUSED",
    "AddressRule",
    "Addresses",
    "Bucket",
    "Cors",
    "Credential",
    "GoodToken",
    "Granted",
    "HashedLink",
    "KeySet",
    "KeySetError",
    "Leak",
    "LinkTerms",
    "OriginRule",
    "Pace",
    "Refused",
    "RefusedToken",
    "TokenFault",
    "TokenKey",
    "TokenPlace",
    "TokenRules",
    "Users",
    "Verdict",
    "challenge",
    "check_token",
    "credential_of",
    "find_token",
    "kept_from_others",
    "parse_keys",
    "parse_users",
    "pour",
    "sign_link",
    "signed_link_verdict",
    "together",
]
