"""Fresh processes that measure: how they start, what they are asked, what they answer."""
