//! What to do: stages, change sets, inventory, prune decisions, health verdicts
