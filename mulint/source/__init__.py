"""Files of a project: found, decoded, filtered, with the suppressions written in them."""
