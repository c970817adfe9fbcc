"""What stands before a location: limits, access, the manners of a site.

Each is a phase, in nginx's word: it lets a request pass on to the next, or answers it itself.
A location without any has none, and a hit on it pays nothing.
"""

from .front import Front
from .phase import Ground, Phase, Serve
from .process import Process

__all__ = ["Front", "Ground", "Phase", "Process", "Serve"]
