"""What people write beside their choice of differences."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

from django import forms
from django.utils import timezone


class AcceptForm(forms.Form):
    template_name = "admin/evenkeel/fields.html"
    reason = forms.CharField(label="Why it may differ", max_length=2000, widget=forms.Textarea(attrs={"rows": 2}))
    until = forms.DateField(
        label="Until",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text="A year ahead at most. Then it counts again, if it is still there.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        self.fields["until"].initial = (timezone.now() + timedelta(days=30)).date()

    def clean_until(self) -> datetime:
        until: datetime = datetime.combine(self.cleaned_data["until"], time(23, 59), tzinfo=UTC)
        if until <= timezone.now():
            raise forms.ValidationError("This day is over. Choose a later one.")
        return until


class RegisterForm(forms.Form):
    template_name = "admin/evenkeel/fields.html"
    name = forms.CharField(max_length=200)
    version = forms.CharField(max_length=120, help_text="Orders migrations that do not depend on each other.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        self.fields["version"].initial = f"{timezone.now():%Y%m%d%H%M%S}"
