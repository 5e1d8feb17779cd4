"""What to order and when: rules of inventory theory on joint paths of demand, and their replay."""

from __future__ import annotations
