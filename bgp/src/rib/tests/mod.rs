//! What can only be seen from inside: the decision step by step, and what separates update groups.

mod decision;
mod table;
mod terms;
mod weight;
