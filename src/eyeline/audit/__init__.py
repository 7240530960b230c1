"""Whether a model is right for the right reason: what the maps of a whole run have in common."""

from eyeline.audit.auditing import Audit, audit
from eyeline.audit.changed import Change
from eyeline.audit.clusters import Clusters
from eyeline.audit.evidence import outside
from eyeline.audit.means import MeanMaps, mean_maps
from eyeline.audit.pages import report
from eyeline.audit.shortcuts import Finding

__all__ = ["Audit", "Change", "Clusters", "Finding", "MeanMaps", "audit", "mean_maps", "outside", "report"]
