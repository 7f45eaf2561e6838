//! Labelled synthetic traffic: sites, visitors and attackers drawn from a seed.
