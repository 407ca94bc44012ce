"""From a model's name to a scorer: its files, its weights, and the trials that choose the fastest exact path.

load            the way in
assemble        puts the parts together
files           the folder of what is checked before anything is loaded: config, modules, headers of weights
precision       device and number format
tokenizer       the stock tokenizer, and how it joins pairs
tensors         the folder of what is loaded: the model's weights, their names, the modules behind it
self_test       every path against plain runs
probes          the batches that trials use, and what it means to agree
swap_layers     faster layers in the place of stock ones
compile_layers  layers compiled for a GPU
compiler_cache  where the compiler keeps what it makes
row_trial       how few rows a CPU needs for equal bits
memory_fit      how many tokens fit into a GPU

Knows files, tensors and every part of the engine; knows no claim, no store and no queue.
"""
