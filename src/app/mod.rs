//! Composition root: roles, listeners, tasks, shutdown order.
