//! Records in memory: hash indexes over segments; what a GET is answered from.
