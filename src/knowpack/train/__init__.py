"""Examples -> adapter.

mix.py              facts + what the base knows -> examples; concentrate.py: biased; drawable.py: said before any work
train.py            examples -> adapter; read this first. standalone.py: into a folder of the user's choice
lora.py             the adapter on its base; target_modules.py: on which layers
plain.py            the paper's recipe: epochs; order.py: of their rows
keep.py             pack's: new facts beside replay; recipes.py: its settings by model and load
objective.py        what a step of it lowers; phases.py: its rate over time; rate.py: by a trial step
retire.py           which facts are drawn, by how sure the model is of them (certainty.py)
replay_prompts.py   what is to stay; replay_left_out.py: but for these; base_answers.py: the base's answers to it
short_forms.py      new facts as unfinished sentences and key words; contexts.py: few-shot prompts to train under
batch.py            rows and padded batches; shared.py: rows behind one context
lower.py, frozen.py the layers below the adapter once a row; frozen layers in fewer passes, and with them
float32_attention.py attention beside bfloat16, head.py: losses at a large vocabulary
resume.py           state for a kill; track.py: the training log; card.py: the adapter's README.md
"""
