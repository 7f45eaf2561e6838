//! One request, decided: policy, tiers, rails, shadow mode and feedback; no sockets, no wire formats.
