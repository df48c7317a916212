"""Results in the formats of other programs, a module each; `report.exports` names them."""
