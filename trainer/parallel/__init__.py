"""One run on several processes: who they are, what they tell one another, and the network that lies across them."""
