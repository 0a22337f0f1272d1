"""Interactive Connectivity Establishment, RFC 8445: candidates, machines and their contract."""

from rtcproto.ice.agent import IceAgent
from rtcproto.ice.candidate import (
    Candidate,
    CandidateType,
    advertised_candidates,
    candidate_address,
    compute_foundation,
    compute_priority,
    host_candidate,
    is_routable,
    passive_candidate,
)
from rtcproto.ice.contract import (
    Credentials,
    IceConfig,
    IceEvent,
    IceMachine,
    IceStats,
    Path,
    PathLost,
    PathProven,
    PathSelected,
    PathValidated,
)
from rtcproto.ice.generations import IceGenerations
from rtcproto.ice.lite import IceLite

__all__ = [
    "Candidate",
    "CandidateType",
    "Credentials",
    "IceAgent",
    "IceConfig",
    "IceEvent",
    "IceGenerations",
    "IceLite",
    "IceMachine",
    "IceStats",
    "Path",
    "PathLost",
    "PathProven",
    "PathSelected",
    "PathValidated",
    "advertised_candidates",
    "candidate_address",
    "compute_foundation",
    "compute_priority",
    "host_candidate",
    "passive_candidate",
    "is_routable",
]
