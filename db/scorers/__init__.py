"""What decides a score, and the files it comes from. Loads no model.

identity      scorers as jobs ask for them, and the engines that computed
model_files   where a model's files are, and their digest
file_digests  digests of large files, cached
"""
