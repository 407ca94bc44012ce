"""Scores read out. Knows no file format.

scored_pairs  the join of pairs to their scores
ranked        a job's results, ranked
spans         the best clauses of a query's documents
passages      the words behind the best scores
truncation    how many pairs were read in windows or lost an end
explanation   everything known of one pair's score
"""
