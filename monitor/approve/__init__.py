"""Who is asked about calls: questions, answers, what is remembered of them, and the ways to somebody."""
