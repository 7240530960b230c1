"""Whether a model is right for the right reason: what the maps of a whole run have in common."""

from eyeline.audit.auditing import Audit, audit
from eyeline.audit.evidence import outside
from eyeline.audit.shortcuts import Finding

__all__ = ["Audit", "Finding", "audit", "outside"]
