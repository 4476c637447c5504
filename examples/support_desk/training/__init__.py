"""How the desk's two readers were trained, and how good they are. The desk never imports this.

See README.md beside this file for what each intent means, and for the order of the commands.
"""
