"""The studio's look: warm paper by day, graphite by night, one clay accent; type from the system, never the network."""

from gradio.themes import Base
from gradio.themes.utils import colors, sizes

CLAY = colors.Color(
    name="clay",
    c50="#fbf3ee",
    c100="#f6e3d8",
    c200="#ecc6b1",
    c300="#dfa283",
    c400="#cf7d58",
    c500="#b9603b",
    c600="#a04f2e",
    c700="#833f26",
    c800="#683422",
    c900="#4e291d",
    c950="#2b150e",
)
PAPER = colors.Color(
    name="paper",
    c50="#fbf9f5",
    c100="#f4f1ea",
    c200="#e8e3d8",
    c300="#d5cec0",
    c400="#a59d8e",
    c500="#7a7367",
    c600="#5d574d",
    c700="#453f37",
    c800="#2b2824",
    c900="#201e1b",
    c950="#171614",
)
SANS = ("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif")
MONO = ("ui-monospace", "SF Mono", "Cascadia Mono", "Consolas", "Liberation Mono", "monospace")


def theme() -> Base:
    """The theme for ``launch``. What a theme cannot say is in studio.css."""
    base = Base(
        primary_hue=CLAY,
        secondary_hue=CLAY,
        neutral_hue=PAPER,
        spacing_size=sizes.spacing_md,
        radius_size=sizes.radius_sm,
        text_size=sizes.text_sm,
        font=SANS,
        font_mono=MONO,
    )
    base.set(**_surfaces(), **_controls(), **_buttons())
    return base


def _surfaces() -> dict[str, str]:
    return {
        "body_background_fill": "*neutral_100",
        "body_background_fill_dark": "*neutral_950",
        "body_text_color": "*neutral_800",
        "body_text_color_dark": "#ebe5da",
        "body_text_color_subdued": "#6d665b",
        "body_text_color_subdued_dark": "#a49b8d",
        "background_fill_primary": "*neutral_50",
        "background_fill_primary_dark": "*neutral_900",
        "background_fill_secondary": "*neutral_100",
        "background_fill_secondary_dark": "*neutral_950",
        "border_color_primary": "*neutral_200",
        "border_color_primary_dark": "#37332d",
        "block_background_fill": "transparent",
        "block_background_fill_dark": "transparent",
        "block_border_width": "0px",
        "block_border_width_dark": "0px",
        "block_shadow": "none",
        "block_shadow_dark": "none",
        "block_padding": "0px",
        "block_label_background_fill": "transparent",
        "block_label_background_fill_dark": "transparent",
        "block_title_text_color": "*body_text_color_subdued",
        "block_title_text_color_dark": "*body_text_color_subdued",
        "block_title_text_size": "12px",
        "block_title_text_weight": "500",
        "block_info_text_size": "12px",
        "panel_background_fill": "transparent",
        "panel_background_fill_dark": "transparent",
        "panel_border_width": "0px",
        "form_gap_width": "0px",
        "layout_gap": "14px",
        "link_text_color": "*primary_600",
        "link_text_color_dark": "*primary_300",
    }


def _controls() -> dict[str, str]:
    return {
        "input_background_fill": "*neutral_50",
        "input_background_fill_dark": "#23211d",
        "input_border_color": "*neutral_300",
        "input_border_color_dark": "#3d3932",
        "input_border_color_focus": "*primary_500",
        "input_border_color_focus_dark": "*primary_400",
        "input_border_width": "1px",
        "input_shadow": "none",
        "input_shadow_focus": "none",
        "input_padding": "7px 10px",
        "input_radius": "6px",
        "input_text_size": "14px",
        "slider_color": "*primary_500",
        "slider_color_dark": "*primary_400",
        "checkbox_background_color": "*neutral_50",
        "checkbox_background_color_dark": "#23211d",
        "checkbox_background_color_selected": "*primary_500",
        "checkbox_background_color_selected_dark": "*primary_500",
        "checkbox_border_color": "*neutral_400",
        "checkbox_border_color_dark": "#5a544a",
        "checkbox_border_color_selected": "*primary_500",
        "checkbox_label_background_fill": "transparent",
        "checkbox_label_background_fill_dark": "transparent",
        "checkbox_label_background_fill_hover": "transparent",
        "checkbox_label_background_fill_hover_dark": "transparent",
        "checkbox_label_background_fill_selected": "transparent",
        "checkbox_label_background_fill_selected_dark": "transparent",
        "checkbox_label_text_color_selected": "*body_text_color",
        "checkbox_label_border_width": "0px",
        "checkbox_label_padding": "2px 0px",
        "checkbox_label_gap": "14px",
        "checkbox_label_shadow": "none",
    }


def _buttons() -> dict[str, str]:
    return {
        "button_border_width": "1px",
        "button_large_radius": "6px",
        "button_medium_radius": "6px",
        "button_small_radius": "6px",
        "button_large_text_size": "14px",
        "button_medium_text_size": "13px",
        "button_small_text_size": "13px",
        "button_large_text_weight": "600",
        "button_medium_text_weight": "500",
        "button_small_text_weight": "500",
        "button_large_padding": "9px 16px",
        "button_small_padding": "6px 11px",
        "button_primary_background_fill": "*primary_600",
        "button_primary_background_fill_dark": "*primary_500",
        "button_primary_background_fill_hover": "*primary_700",
        "button_primary_background_fill_hover_dark": "*primary_600",
        "button_primary_border_color": "transparent",
        "button_primary_border_color_dark": "transparent",
        "button_primary_text_color": "#fffaf5",
        "button_primary_text_color_dark": "#fffaf5",
        "button_secondary_background_fill": "transparent",
        "button_secondary_background_fill_dark": "transparent",
        "button_secondary_background_fill_hover": "*neutral_200",
        "button_secondary_background_fill_hover_dark": "#2b2824",
        "button_secondary_border_color": "*neutral_300",
        "button_secondary_border_color_dark": "#3d3932",
        "button_secondary_border_color_hover": "*neutral_400",
        "button_secondary_border_color_hover_dark": "#5a544a",
        "button_secondary_text_color": "*body_text_color",
        "button_secondary_text_color_dark": "*body_text_color",
        "button_primary_shadow": "none",
        "button_secondary_shadow": "none",
        "button_transform_hover": "none",
    }
